(module
  ;; What `Simd.ts` describes. `packages/core/src/codec/SimdModule.ts` is made of this file by
  ;; `node scripts/build-simd.ts`; the tests compare the two.

  ;; 2 MiB that never grow: views of it stay valid.
  (memory (export "memory") 32 32)

  ;; Masks the bytes from `at` up to `end` (RFC 6455, section 5.3). The key's lowest byte is that
  ;; of the byte at `at`.
  (func (export "mask") (param $at i32) (param $end i32) (param $key i32)
    (local $keys v128)
    (local $last i32)
    (local.set $keys (i32x4.splat (local.get $key)))
    ;; 64 bytes at a time,
    (local.set $last (i32.sub (local.get $end) (i32.const 64)))
    (block $wide_done
      (loop $wide
        (br_if $wide_done (i32.gt_s (local.get $at) (local.get $last)))
        (v128.store (local.get $at)
          (v128.xor (v128.load (local.get $at)) (local.get $keys)))
        (v128.store offset=16 (local.get $at)
          (v128.xor (v128.load offset=16 (local.get $at)) (local.get $keys)))
        (v128.store offset=32 (local.get $at)
          (v128.xor (v128.load offset=32 (local.get $at)) (local.get $keys)))
        (v128.store offset=48 (local.get $at)
          (v128.xor (v128.load offset=48 (local.get $at)) (local.get $keys)))
        (local.set $at (i32.add (local.get $at) (i32.const 64)))
        (br $wide)))
    ;; then 4,
    (local.set $last (i32.sub (local.get $end) (i32.const 4)))
    (block $words_done
      (loop $words
        (br_if $words_done (i32.gt_s (local.get $at) (local.get $last)))
        (i32.store (local.get $at) (i32.xor (i32.load (local.get $at)) (local.get $key)))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))
        (br $words)))
    ;; then what is left, byte by byte.
    (block $done
      (loop $bytes
        (br_if $done (i32.ge_s (local.get $at) (local.get $end)))
        (i32.store8 (local.get $at) (i32.xor (i32.load8_u (local.get $at)) (local.get $key)))
        (local.set $key (i32.shr_u (local.get $key) (i32.const 8)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $bytes))))

  ;; Masks in the same way, and returns 1 if what comes out is ASCII.
  (func (export "maskText") (param $at i32) (param $end i32) (param $key i32) (result i32)
    (local $keys v128)
    (local $last i32)
    (local $seen v128)
    (local $word i32)
    (local $high i32)
    (local.set $keys (i32x4.splat (local.get $key)))
    ;; 32 bytes at a time,
    (local.set $last (i32.sub (local.get $end) (i32.const 32)))
    (block $wide_done
      (loop $wide
        (br_if $wide_done (i32.gt_s (local.get $at) (local.get $last)))
        (local.set $seen
          (v128.or (local.get $seen)
            (v128.or
              (call $masked (local.get $at) (local.get $keys))
              (call $masked (i32.add (local.get $at) (i32.const 16)) (local.get $keys)))))
        (local.set $at (i32.add (local.get $at) (i32.const 32)))
        (br $wide)))
    ;; then 4,
    (local.set $last (i32.sub (local.get $end) (i32.const 4)))
    (block $words_done
      (loop $words
        (br_if $words_done (i32.gt_s (local.get $at) (local.get $last)))
        (local.set $word (i32.xor (i32.load (local.get $at)) (local.get $key)))
        (i32.store (local.get $at) (local.get $word))
        (local.set $high (i32.or (local.get $high) (local.get $word)))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))
        (br $words)))
    ;; then what is left, byte by byte.
    (block $done
      (loop $bytes
        (br_if $done (i32.ge_s (local.get $at) (local.get $end)))
        (local.set $word (i32.and (i32.xor (i32.load8_u (local.get $at)) (local.get $key)) (i32.const 0xff)))
        (i32.store8 (local.get $at) (local.get $word))
        (local.set $high (i32.or (local.get $high) (local.get $word)))
        (local.set $key (i32.shr_u (local.get $key) (i32.const 8)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $bytes)))
    (i32.eqz
      (i32.or
        (i8x16.bitmask (local.get $seen))
        (i32.and (local.get $high) (i32.const 0x80808080)))))

  ;; Masks 16 bytes and returns them.
  (func $masked (param $at i32) (param $keys v128) (result v128)
    (local $bytes v128)
    (local.set $bytes (v128.xor (v128.load (local.get $at)) (local.get $keys)))
    (v128.store (local.get $at) (local.get $bytes))
    (local.get $bytes))

  ;; Copies `size` bytes from `from` to `to`.
  (func (export "copy") (param $to i32) (param $from i32) (param $size i32)
    (memory.copy (local.get $to) (local.get $from) (local.get $size))))

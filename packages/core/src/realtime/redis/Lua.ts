/**
 * What runs inside Redis. A script is atomic, so that a publication has its offset, its place in history, its key and its message,
 * or none of them.
 *
 * The keys of a shard, which share a hash slot (`{prefix:N}`):
 *
 * - `state`: a hash. `epoch` and `seq` of the shard; `mark` and `last`, see below, and `m:I` for each mark; `t:TOPIC` is a topic's
 *   top; `n` numbers those who enter; `beat` and `calm` are times of the leases. One key, so that it is lost as a whole or not at
 *   all.
 * - `log:TOPIC`: a stream. An entry's id is `OFFSET-EXPIRY`, its only value `"key","payload"` as JSON.
 * - `key:TOPIC\nKEY`: a key that is remembered, its value `EPOCH OFFSET`.
 * - `leases`: a sorted set, each process that has entered somebody with the time until which it lives.
 * - `of`: a sorted set of `PROCESS\nTOPIC\nID` with equal scores: whom each process has entered.
 * - `in`: a hash, each `TOPIC\nID` with `ORDER\nMEMBER\nPAYLOAD`; `by`: a sorted set of `TOPIC\nMEMBER\nORDER\nID` with equal scores, so
 *   that the last one of a member is found; `count`: a hash, each `TOPIC\nMEMBER` with how often it is present, and each `TOPIC` with how
 *   many members it has.
 *
 * A script touches no key that it does not declare. Where the slot moves to another node of a cluster, Redis refuses a script whose keys
 * are divided, before it has done anything; but a key that is not declared would seem not to exist. So whatever is found only by
 * reading (whom a dead process has entered) lies in keys whose names are known.
 *
 * Texts of the program (topics, keys, ids, members) are written as the inside of a JSON string: no line break, no lone surrogate.
 */

/** How many marks a shard remembers, and after how many milliseconds of silence it begins another one. */
const marks = 4096
const silence = 20

/**
 * `KEYS[1]` state. `ARGV`: the epoch and `seq` that the process knows, `1` to make a new epoch if that one is still
 * the shard's, a fresh name for an epoch, the command that publishes, the channel, the lease, then
 * `seq` and mark of the last message that the process has proof of.
 *
 * `seq` counts the messages of the channel, but for those that carry signals alone. If Redis has counted less than a process has seen,
 * it lost data.
 *
 * A count cannot tell what was lost from what was told in its place, so a message has a mark too: `NUMBER.NAME`, the name made by a
 * process. It holds until nothing was told for a moment. Redis cannot lose data within a moment and go on, so what is told
 * instead of something that was lost has another mark. `m:I` is a mark and the `seq` at which it begins, `I` its number modulo
 * how many are remembered. A process that comes back after more marks than that has no proof, and is treated as if data was lost.
 */
const begin = `
local state = KEYS[1]
local knownEpoch, knownSeq = ARGV[1], tonumber(ARGV[2])
local lease = tonumber(ARGV[7])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local was = redis.call('HMGET', state, 'epoch', 'seq', 'beat', 'calm', 'mark', 'last')
local epoch, seq = was[1], tonumber(was[2] or '0')
local beat, calm = tonumber(was[3] or '0'), tonumber(was[4] or '0')
local mark, last, before = was[5] or '', tonumber(was[6] or '0'), nil
local provenSeq, provenMark = tonumber(ARGV[8]), ARGV[9]
local isNew, isNumbered, published, signals, changed, isChanged = false, false, {}, {}, {}, {}

-- The number at the beginning of an epoch or a mark.
local function era(name)
  return tonumber(string.match(name or '', '^(%d+)') or '0')
end

local function place(number)
  return 'm:' .. number % ${marks}
end

-- Whether what the process has proof of is no part of what Redis has.
local function strays()
  if provenMark == '' or provenMark == mark then return false end
  local number, newest = era(provenMark), era(mark)
  if number >= newest or newest - number >= ${marks} then return true end
  local found = redis.call('HMGET', state, place(number), place(number + 1))
  if not found[1] or not found[2] or string.match(found[1], '^%S+') ~= provenMark then return true end
  return tonumber(string.match(found[2], '%d+$')) <= provenSeq
end

local function begin()
  mark = (era(mark) + 1) .. '.' .. ARGV[4]
  redis.call('HSET', state, 'mark', mark, place(era(mark)), mark .. ' ' .. seq)
end

if not epoch or (epoch == knownEpoch and (seq < knownSeq or ARGV[3] == '1' or strays())) or era(epoch) < era(knownEpoch) then
  epoch = (math.max(era(epoch), era(knownEpoch)) + 1) .. '.' .. ARGV[4]
  seq = math.max(seq, knownSeq)
  redis.call('HSET', state, 'epoch', epoch, 'seq', seq)
  begin()
  isNew = true
end

-- Before anything changes of which others are told: if the script fails in between, they find out that a message is missing.
local function number()
  if not isNumbered then
    seq = seq + 1
    redis.call('HSET', state, 'seq', seq, 'last', now)
    if not isNew and (mark == '' or knownEpoch == '' or now < last or now - last >= ${silence}) then
      before = mark
      begin()
    end
    isNumbered = true
  end
end

local function change(topic)
  if not isChanged[topic] then
    isChanged[topic] = true
    changed[#changed + 1] = '"' .. topic .. '"'
  end
end

local function tell()
  if not isNew and #published == 0 and #signals == 0 and #changed == 0 then return end
  local parts = { '{"e":"' .. epoch .. '"' }
  if isNew or isNumbered then parts[#parts + 1] = '"s":' .. seq .. ',"k":"' .. mark .. '"' end
  if before then parts[#parts + 1] = '"b":"' .. before .. '"' end
  if #published > 0 then parts[#parts + 1] = '"p":[' .. table.concat(published, ',') .. ']' end
  if #changed > 0 then parts[#parts + 1] = '"m":[' .. table.concat(changed, ',') .. ']' end
  if #signals > 0 then parts[#parts + 1] = '"g":[' .. table.concat(signals, ',') .. ']' end
  redis.call(ARGV[5], ARGV[6], table.concat(parts, ',') .. '}')
end

-- Drops what is too old from the beginning of a log. Answers the oldest offset.
local function trim(log)
  local count = 1
  while true do
    local first = redis.call('XRANGE', log, '-', '+', 'COUNT', count)
    local old, oldest = 0, nil
    for i = 1, #first do
      local offset, expiry = string.match(first[i][1], '^(%d+)-(%d+)$')
      if tonumber(expiry) > now then
        oldest = tonumber(offset)
        break
      end
      old = i
    end
    if old > 0 then redis.call('XTRIM', log, 'MAXLEN', redis.call('XLEN', log) - old) end
    if oldest or #first == 0 then return oldest end
    count = 20
  end
end
`

/** Who is present. `KEYS[2]` leases, `KEYS[3]` in, `KEYS[4]` by, `KEYS[5]` count, `KEYS[6]` of. */
const presence = `
local leases, present, by, counts, of = KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]

-- All that begins with a text and a line break: the next character after that is the end.
local function under(text)
  return '[' .. text .. '\\n', '(' .. text .. '\\11'
end

local function leave(topic, id)
  local value = redis.call('HGET', present, topic .. '\\n' .. id)
  if not value then return end
  number()
  local order, member = string.match(value, '^(%d+)\\n([^\\n]*)\\n')
  local name = topic .. '\\n' .. member
  redis.call('HDEL', present, topic .. '\\n' .. id)
  redis.call('ZREM', by, name .. '\\n' .. order .. '\\n' .. id)
  if redis.call('HINCRBY', counts, name, -1) <= 0 then
    redis.call('HDEL', counts, name)
    if redis.call('HINCRBY', counts, topic, -1) <= 0 then redis.call('HDEL', counts, topic) end
  end
  change(topic)
end

-- The presences of a process end: at most some hundred at once. Whether that was all.
local function bury(owner)
  local from, to = under(owner)
  local entered = redis.call('ZRANGEBYLEX', of, from, to, 'LIMIT', 0, 500)
  for i = 1, #entered do
    leave(string.match(entered[i], '^[^\\n]*\\n([^\\n]*)\\n(.*)$'))
    redis.call('ZREM', of, entered[i])
  end
  if #entered == 500 then return false end
  redis.call('ZREM', leases, owner)
  return true
end

-- Processes beat three times in a lease. Where none has for half of one, Redis was away, or the slot was moving, not the processes: they
-- get the time to say that they live, once.
local function sweep()
  if now - beat > lease / 2 and calm - lease <= beat then
    calm = now + lease
    redis.call('HSET', state, 'calm', calm)
  end
  if now < calm then return end
  local dead = redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, 4)
  for i = 1, #dead do
    if not bury(dead[i]) then return end
  end
end
`

/**
 * Does what a process asks for, in order, and tells the others in one message. `ARGV[10]` is its name, then come the operations. It answers epoch, `SEQ MARK`, and what each operation answers.
 */
export const apply = `${begin}${presence}
local owner = ARGV[10]
local answer, arg, key = {}, 11, 7
local operations = {}

-- A publication. Answers epoch, offset, and 1 if the key was known.
function operations.P()
  local topic, size, timeToLive, keyTimeToLive, body = ARGV[arg], ARGV[arg + 1], ARGV[arg + 2], ARGV[arg + 3], ARGV[arg + 4]
  local log, remembered = KEYS[key], KEYS[key + 1]
  arg, key = arg + 5, key + 2
  local known = redis.call('GET', remembered)
  if known then
    local knownIn, offset = string.match(known, '^(%S+) (%d+)$')
    answer[#answer + 1], answer[#answer + 2], answer[#answer + 3] = knownIn, offset, '1'
    return
  end
  number()
  local offset = redis.call('HINCRBY', state, 't:' .. topic, 1)
  if size == '0' or timeToLive == '0' then
    redis.call('DEL', log)
  else
    -- A log that outlived the count is not this one's.
    if offset == 1 then redis.call('DEL', log) end
    local id = offset .. '-' .. (now + tonumber(timeToLive))
    local added = redis.pcall('XADD', log, 'MAXLEN', size, id, 'e', body)
    if type(added) == 'table' and added.err then
      redis.call('DEL', log)
      redis.call('XADD', log, id, 'e', body)
    end
    -- Reading leaves out what is too old; here it is dropped for the sake of memory.
    if offset % 16 == 0 then trim(log) end
    redis.call('PEXPIRE', log, timeToLive)
  end
  if keyTimeToLive ~= '0' then redis.call('SET', remembered, epoch .. ' ' .. offset, 'PX', keyTimeToLive) end
  published[#published + 1] = '[' .. offset .. ',"' .. topic .. '",' .. body .. ']'
  answer[#answer + 1], answer[#answer + 2], answer[#answer + 3] = epoch, tostring(offset), '0'
end

-- A signal.
function operations.S()
  signals[#signals + 1] = ARGV[arg]
  arg = arg + 1
end

-- Somebody enters.
function operations.E()
  local topic, id, member, payload = ARGV[arg], ARGV[arg + 1], ARGV[arg + 2], ARGV[arg + 3]
  arg = arg + 4
  number()
  leave(topic, id)
  local order = string.format('%015d', redis.call('HINCRBY', state, 'n', 1))
  local name = topic .. '\\n' .. member
  redis.call('HSET', present, topic .. '\\n' .. id, order .. '\\n' .. member .. '\\n' .. payload)
  redis.call('ZADD', by, 0, name .. '\\n' .. order .. '\\n' .. id)
  if redis.call('HINCRBY', counts, name, 1) == 1 then redis.call('HINCRBY', counts, topic, 1) end
  redis.call('ZADD', of, 0, owner .. '\\n' .. topic .. '\\n' .. id)
  redis.call('ZADD', leases, now + lease, owner)
  change(topic)
end

-- Somebody leaves.
function operations.L()
  local topic, id = ARGV[arg], ARGV[arg + 1]
  arg = arg + 2
  leave(topic, id)
  redis.call('ZREM', of, owner .. '\\n' .. topic .. '\\n' .. id)
end

-- The process lives, and whoever does not is buried. Answers how many it has entered, or -1 if it was buried itself.
function operations.R()
  local entered = redis.call('ZLEXCOUNT', of, under(owner))
  if redis.call('ZSCORE', leases, owner) then
    if entered > 0 then redis.call('ZADD', leases, now + lease, owner) else redis.call('ZREM', leases, owner) end
  elseif ARGV[arg] ~= '0' then
    entered = -1
  end
  arg = arg + 1
  sweep()
  redis.call('HSET', state, 'beat', now)
  answer[#answer + 1] = tostring(entered)
end

-- The process has nobody any more. Answers 1 if that is done.
function operations.X()
  answer[#answer + 1] = bury(owner) and '1' or '0'
end

while arg <= #ARGV do
  local operation = ARGV[arg]
  arg = arg + 1
  operations[operation]()
end
tell()
table.insert(answer, 1, seq .. ' ' .. mark)
table.insert(answer, 1, epoch)
return answer
`

/**
 * `KEYS[2]` is the topic's log. `ARGV`: topic, epoch and offset of the position, limit. It answers epoch, `SEQ MARK`, top, the oldest offset, then
 * offset and value of each entry.
 */
export const read = `${begin}
local topic, sinceEpoch, since, limit = ARGV[10], ARGV[11], tonumber(ARGV[12]), tonumber(ARGV[13])
local log = KEYS[2]
local top = tonumber(redis.call('HGET', state, 't:' .. topic) or '0')
local oldest = top > 0 and trim(log) or top + 1
tell()
local answer = { epoch, seq .. ' ' .. mark, tostring(top), tostring(oldest) }
local from = sinceEpoch == epoch and math.max(oldest, since + 1) or oldest
if from > top or limit < 1 then return answer end
local entries = redis.call('XRANGE', log, from, '+', 'COUNT', limit)
for i = 1, #entries do
  answer[#answer + 1] = string.match(entries[i][1], '^%d+')
  answer[#answer + 1] = entries[i][2][2]
end
return answer
`

/** `ARGV`: the topics. It answers epoch, `SEQ MARK`, and the top of each. */
export const tops = `${begin}
tell()
local answer = { epoch, seq .. ' ' .. mark }
for i = 10, #ARGV do answer[#answer + 1] = redis.call('HGET', state, 't:' .. ARGV[i]) or '0' end
return answer
`

/** `ARGV`: topic and limit. It answers epoch, `SEQ MARK`, how many members there are, then id, member and payload of as many as asked for. */
export const members = `${begin}${presence}
local topic, limit = ARGV[10], tonumber(ARGV[11])
sweep()
tell()
local answer = { epoch, seq .. ' ' .. mark, redis.call('HGET', counts, topic) or '0' }
local from, to = under(topic)
for _ = 1, limit do
  local first = redis.call('ZRANGEBYLEX', by, from, to, 'LIMIT', 0, 1)[1]
  if not first then break end
  local member = string.match(first, '^[^\\n]*\\n([^\\n]*)')
  local _, behind = under(topic .. '\\n' .. member)
  local last = redis.call('ZREVRANGEBYLEX', by, behind, '[' .. first, 'LIMIT', 0, 1)[1]
  local id = string.match(last, '^[^\\n]*\\n[^\\n]*\\n%d+\\n(.*)$')
  answer[#answer + 1] = id
  answer[#answer + 1] = member
  answer[#answer + 1] = string.match(redis.call('HGET', present, topic .. '\\n' .. id), '^[^\\n]*\\n[^\\n]*\\n(.*)$')
  from = behind
end
return answer
`

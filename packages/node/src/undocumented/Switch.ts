/** The one switch that turns off all that this folder holds: the environment variable `EFFECT_WS_PORTABLE`. */

/** Whether the process was started with documented interfaces only. */
export const isPortable: boolean = process.env["EFFECT_WS_PORTABLE"] === "1"

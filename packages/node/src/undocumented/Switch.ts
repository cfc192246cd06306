/** The switch that turns off everything in this folder: the environment variable `EFFECT_WS_PORTABLE`. */

/** Whether the process was started with documented interfaces only. */
export const isPortable: boolean = process.env["EFFECT_WS_PORTABLE"] === "1"

/**
 * What a transport or an observer of users throws where no caller could catch it. It is
 * told as an unhandled rejection, which ends a process by default; where it does not,
 * no other connection has lost its turn by it.
 */
export const uncaught = (defect: unknown): void => {
  void Promise.reject(defect)
}

/**
 * Reports an exception of a user's transport or observer that no caller can catch. It becomes
 * an unhandled rejection, which ends a process by default; where it does not, no other
 * connection is affected.
 */
export const uncaught = (defect: unknown): void => {
  void Promise.reject(defect)
}

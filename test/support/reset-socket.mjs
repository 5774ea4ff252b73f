/**
 * Ends a socket by an RST. One that has been ended already is only torn down: to reset it while its end is under way is an error
 * (EINVAL) after which Node 20 never closes it, and spins for ever when the process is to end.
 */
export function resetSocket(socket) {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

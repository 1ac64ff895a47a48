// Package wire is what the PCs of an experiment say to each other.
//
//	master                                        slave
//	ListenTrigger ── Publish ──▶ PUB ─ ─ ▶ SUB ──▶ Orders ── DialTrigger
//	ListenStatus ◀── serve ───── REP ◀ ─ ─ REQ ◀── Call ──── NewStatusClient
//
// An [Order] tells every slave at once what to do and when. A [Request] tells
// the master what a slave is up to, and its [Reply] carries what the slave may
// have missed. Files travel by package transfer.
//
// Both are ZeroMQ, spoken over connections of package zmtp, so libzmq sockets
// can be the other end. Every peer of a port has a goroutine of its own: one
// that is slow, silent or lying is waited for by nobody else, and what it sends
// is bounded before it is read. Every message has a version, a number and a
// CRC-32C. Whoever dials comes back by itself when the other side was
// restarted.
package wire

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
// Both are ZeroMQ, with the sockets of zmq4 on top of a [link] of our own, which
// lets only checked messages of known peers through to them. Every message has
// a version, a number and a CRC-32C. Whoever dials comes back by itself when
// the other side was restarted.
package wire

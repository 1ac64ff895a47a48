// Package zmtp speaks ZMTP 3.0, the protocol of ZeroMQ (RFC 23, with PING of
// RFC 37), one connection at a time.
//
//	Dial ───────────────▶ Conn ── Send ──▶ one message, one writev
//	Listen ── Accept ───▶ Conn ── ReadFrame, or NextFrame and Read ──▶ frames
//
// A Conn is one connection and not a ZeroMQ socket: it queues nothing, chooses
// no peer and does not reconnect, so back-pressure is that of the kernel and
// nothing is lost unseen. On the wire it is the socket type it was given, and
// any libzmq socket of a matching type can be the other end. Sending and
// receiving allocate nothing.
//
// Peers are strangers until their greeting and READY have been read and
// checked, which happens within HandshakeTimeout and beside all other peers.
package zmtp

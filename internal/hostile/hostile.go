// Package hostile has the bytes that strangers send to a ZeroMQ port: scanners, browsers,
// broken programs and people who mean harm. Tests say it to each listener of
// tsrun and look whether anybody else is harmed.
package hostile

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"time"
)

// Bytes returns things to write to a fresh connection, by name. Some get as far
// as a handshake as a socket of type suits, which the listener accepts.
func Bytes(suits string) map[string][]byte {
	greeting := make([]byte, 64)
	greeting[0], greeting[9], greeting[10] = 0xff, 0x7f, 3
	copy(greeting[12:], "NULL")
	greeted := func(s string) []byte { return append(greeting[:64:64], s...) }
	opened := greeted(Ready(suits))
	after := func(s string) []byte { return append(opened[:len(opened):len(opened)], s...) }
	noise := make([]byte, 300)
	rand.NewChaCha8([32]byte{1}).Read(noise) // never fails
	return map[string][]byte{
		"silence":                nil,
		"half a greeting":        greeting[:30],
		"greeting, then silence": greeting,
		"random bytes":           noise,
		"random frames":          after(string(noise)),
		"HTTP":                   []byte("GET / HTTP/1.1\r\nHost: master\r\n\r\n" + strings.Repeat(" ", 64)),
		"READY of 2^62 bytes":    greeted(Long(6, 1<<62)),
		"READY of 2^40 bytes":    greeted(Long(6, 1<<40)),
		"READY cut short":        greeted("\x04\x09\x05READY\x01x\x00"),
		"READY without type":     greeted("\x04\x06\x05READY"),
		"unknown type":           greeted(Ready("HUB")),
		"message for READY":      greeted("\x00\x03abc"),
		"ready, then silence":    opened,
		"frame of 2^63 bytes":    after(Long(2, 1<<63)),
		"frame of 2^62 bytes":    after(Long(2, 1<<62)),
		"frame of 2^40 bytes":    after(Long(2, 1<<40)),
		"command of 2^40 bytes":  after(Long(6, 1<<40)),
		"half a frame":           after("\x00\x20abc"),
		"frames without end":     after(strings.Repeat("\x01\x00", 500)),
		"messages of no meaning": after(strings.Repeat("\x00\x03abc", 500)),
		"empty messages":         after(strings.Repeat("\x00\x00", 500)),
	}
}

// Ready is the READY command of a socket of the named type.
func Ready(socket string) string {
	b := []byte("\x05READY\x0bSocket-Type")
	b = binary.BigEndian.AppendUint32(b, uint32(len(socket)))
	b = append(b, socket...)
	return string(append([]byte{4, byte(len(b))}, b...))
}

// Long is the header of a frame of n bytes, with flags.
func Long(flags byte, n uint64) string {
	return string(binary.BigEndian.AppendUint64([]byte{flags}, n))
}

// Records returns what a stranger may say where TLS is spoken: a true beginning,
// cut, with bits flipped and with lengths that are wrong, and records of no meaning.
func Records() [][]byte {
	var hello recorder
	_ = tls.Client(&hello, &tls.Config{InsecureSkipVerify: true}).Handshake() // ends with the first read
	var all [][]byte
	for n := 1; n < len(hello.said); n += 1 + len(hello.said)/16 {
		all = append(all, hello.said[:n])
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 32 {
		b := slices.Clone(hello.said)
		for range 1 + r.IntN(4) {
			b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		}
		all = append(all, b)
	}
	for _, kind := range []byte{20, 21, 22, 23, 24, 255} {
		for _, size := range []uint16{0, 1, 1 << 14, 1<<14 + 257, 1<<16 - 1} {
			all = append(all, append(binary.BigEndian.AppendUint16([]byte{kind, 3, 3}, size), make([]byte, min(size, 300))...))
		}
	}
	return append(all, hello.said, append(slices.Clone(hello.said), hello.said...))
}

// recorder is a connection that keeps what is written and has nothing to read.
type recorder struct {
	net.Conn
	said []byte
}

func (r *recorder) Write(p []byte) (int, error)      { r.said = append(r.said, p...); return len(p), nil }
func (r *recorder) Read([]byte) (int, error)         { return 0, io.EOF }
func (r *recorder) SetWriteDeadline(time.Time) error { return nil }
func (r *recorder) Close() error                     { return nil }

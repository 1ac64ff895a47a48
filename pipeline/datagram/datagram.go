// Package datagram is what the UDP ports of a master have in common: who may be heard
// there. A node is admitted over its status connection, which gives it a session and a
// key; every datagram has a code that only one who knows that key can make.
package datagram

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"
)

const (
	// KeySize is the length of a session's key, in bytes.
	KeySize = 32
	// CodeSize is the length of a code: the first bytes of an HMAC-SHA-256.
	CodeSize = 16
	// maxGuests bounds how many nodes a port admits at a time.
	maxGuests = 1024
)

// Key is what a node and its master share: only they can make codes.
type Key [KeySize]byte

// Code returns the code of all parts, one after another.
func (k *Key) Code(parts ...[]byte) []byte {
	h := hmac.New(sha256.New, k[:])
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)[:CodeSize]
}

// Made reports whether a code is that of all parts.
func (k *Key) Made(code []byte, parts ...[]byte) bool { return hmac.Equal(code, k.Code(parts...)) }

// Access is what a node needs to be heard at a port.
type Access struct {
	Port    int    `json:"port"`
	Session uint64 `json:"session"`
	Key     []byte `json:"key"` // of KeySize bytes
}

// Check says what is wrong with an access that another process has given.
func (a *Access) Check() error {
	if len(a.Key) != KeySize || a.Port < 1 || a.Port > 65535 {
		return fmt.Errorf("the access that was given has a key of %d bytes and port %d", len(a.Key), a.Port)
	}
	return nil
}

// Guest is one session, with what the port keeps of it.
type Guest[T any] struct {
	Session uint64
	Key     Key
	Of      T
}

// Guests are the sessions of a port. The zero value has none.
type Guests[T any] struct {
	mu  sync.Mutex
	all map[uint64]*Guest[T]
}

// Admit makes a session for one node. The access holds a secret: it must travel to that
// node alone.
func (g *Guests[T]) Admit(port int) (*Access, error) {
	var secret [8 + KeySize]byte
	rand.Read(secret[:]) // never fails
	guest := &Guest[T]{Session: binary.LittleEndian.Uint64(secret[:]), Key: Key(secret[8:])}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.all) >= maxGuests {
		return nil, fmt.Errorf("UDP port %d: %d nodes are admitted already, which is the limit", port, maxGuests)
	}
	if g.all == nil {
		g.all = map[uint64]*Guest[T]{}
	}
	g.all[guest.Session] = guest
	return &Access{Port: port, Session: guest.Session, Key: guest.Key[:]}, nil
}

// Dismiss ends a session.
func (g *Guests[T]) Dismiss(a *Access) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.all, a.Session)
}

// Find returns the guest of a session; nil: there is none.
func (g *Guests[T]) Find(session uint64) *Guest[T] {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.all[session]
}

// All returns every guest.
func (g *Guests[T]) All() []*Guest[T] {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]*Guest[T], 0, len(g.all))
	for _, guest := range g.all {
		all = append(all, guest)
	}
	return all
}

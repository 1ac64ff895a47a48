package wire

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"fmt"
)

// Identity is a key of its own by which a slave that has no certificate is known
// again when it is started anew. It proves that two processes are of one slave, and
// nothing of who that is.
type Identity struct{ key ed25519.PrivateKey }

// IdentitySize is the length of what an Identity is kept as, in bytes.
const IdentitySize = ed25519.SeedSize

// NewIdentity makes an identity.
func NewIdentity() Identity {
	var seed [IdentitySize]byte
	rand.Read(seed[:]) // never fails
	i, _ := ParseIdentity(seed[:])
	return i
}

// ParseIdentity reads an identity that was kept. ok is false for anything else.
func ParseIdentity(seed []byte) (i Identity, ok bool) {
	if len(seed) != IdentitySize {
		return i, false
	}
	return Identity{ed25519.NewKeyFromSeed(seed)}, true
}

// Seed returns the secret to be kept.
func (i Identity) Seed() []byte { return i.key.Seed() }

// Sign shows in a Join whose process it is. What is shown is of no use to another
// process: the secret is not told.
func (i Identity) Sign(node string, j *Join) {
	public := i.key.Public().(ed25519.PublicKey)
	j.Owner = hex.EncodeToString(public)
	j.Signature = hex.EncodeToString(ed25519.Sign(i.key, signed(node, j)))
}

// OwnerOf returns whose process a Join shows that it is, or nothing where it shows
// nothing or what is wrong.
func OwnerOf(node string, j *Join) string {
	public, err := hex.DecodeString(j.Owner)
	if err != nil || len(public) != ed25519.PublicKeySize {
		return ""
	}
	signature, err := hex.DecodeString(j.Signature)
	if err != nil || !ed25519.Verify(public, signed(node, j), signature) {
		return ""
	}
	return hex.EncodeToString(public)
}

func signed(node string, j *Join) []byte {
	return fmt.Appendf(nil, "tsrun join\x00%s\x00%s", node, j.Instance)
}

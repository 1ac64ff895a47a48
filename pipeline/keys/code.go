package keys

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base32"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode"

	"tsrun/pipeline/recipe"
	"tsrun/sdk"
)

// Code is what a person carries from the master's PC to another: where to ask, whom
// to believe, and a secret that shows that the asker was sent.
type Code struct {
	Address     string // host:port
	fingerprint [16]byte
	secret      [10]byte
}

// A code is written as HOST:PORT/ and, in base 32 and groups of 5, 16 bytes of the
// SHA-256 of the CA's certificate, 10 bytes of the secret and 2 of a checksum of all
// before, so that a slip of the pen is no wrong try.
const (
	codeBytes = 16 + 10 + 2
	codeGroup = 5
	maxTyped  = 1 << 10
)

var alphabet = base32.StdEncoding.WithPadding(base32.NoPadding)

func fingerprintOf(c *x509.Certificate) (f [16]byte) {
	sum := sha256.Sum256(c.Raw)
	copy(f[:], sum[:])
	return f
}

func newCode(address string, ca *x509.Certificate) Code {
	c := Code{Address: address, fingerprint: fingerprintOf(ca)}
	rand.Read(c.secret[:]) // never fails
	return c
}

func (c Code) checksum() [2]byte {
	sum := sha256.Sum256(append(append([]byte(c.Address), c.fingerprint[:]...), c.secret[:]...))
	return [2]byte(sum[:2])
}

// String returns what is to be typed.
func (c Code) String() string {
	sum := c.checksum()
	letters := alphabet.EncodeToString(append(append(append([]byte(nil), c.fingerprint[:]...), c.secret[:]...), sum[:]...))
	var groups []string
	for ; len(letters) > codeGroup; letters = letters[codeGroup:] {
		groups = append(groups, letters[:codeGroup])
	}
	return c.Address + "/" + strings.Join(append(groups, letters), "-")
}

// ParseCode reads what was typed: small letters, spaces, other dashes, and 0, 1 and 8
// for O, I and B are forgiven.
func ParseCode(typed string) (Code, error) {
	bad := func(why string) (Code, error) {
		return Code{}, &sdk.Failure{Code: "pairing-code", Message: "read the code: " + why, Hint: "type it as tsrun pair prints it on the master's PC"}
	}
	if len(typed) > maxTyped {
		return bad(fmt.Sprintf("it has %d bytes, a code has about 70", len(typed)))
	}
	typed = strings.Map(withoutGaps, typed)
	address, letters, found := strings.Cut(typed, "/")
	host, port, err := net.SplitHostPort(address)
	n, wrong := strconv.ParseUint(port, 10, 16)
	if !found || err != nil || wrong != nil || n == 0 || !isHost(host) {
		return bad("it does not begin with HOST:PORT/")
	}
	letters = strings.NewReplacer("-", "", "0", "O", "1", "I", "8", "B").Replace(strings.ToUpper(letters))
	b, err := alphabet.DecodeString(letters)
	switch want := alphabet.EncodedLen(codeBytes); {
	case len(letters) != want:
		return bad(fmt.Sprintf("it has %d letters and digits after the /, where %d are needed", len(letters), want))
	case err != nil:
		return bad("after the / it has something else than A to Z, 2 to 7 and -")
	}
	c := Code{Address: address}
	copy(c.fingerprint[:], b)
	copy(c.secret[:], b[16:])
	if c.checksum() != [2]byte(b[26:]) {
		return bad("a letter or digit is wrong, of the address or behind it")
	}
	return c, nil
}

// withoutGaps maps what a document makes of a dash to a dash, and removes spaces and
// what nobody sees.
func withoutGaps(r rune) rune {
	switch {
	case unicode.Is(unicode.Dash, r):
		return '-'
	case unicode.IsSpace(r), unicode.Is(unicode.Cf, r):
		return -1
	}
	return r
}

// isHost reports whether an address of a code can be one.
func isHost(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || recipe.CheckHost(host) == nil
}

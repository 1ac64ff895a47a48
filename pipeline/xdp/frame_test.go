package xdp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain listens where it is asked to, until it is killed.
func TestMain(m *testing.M) {
	if os.Getenv("TSRUN_TEST_ROLE") == "listener" {
		_, err := Listen(here, there)
		fmt.Println("listens:", err)
		time.Sleep(time.Hour)
	}
	goleak.VerifyTestMain(m)
}

var (
	here  = netip.MustParseAddrPort("10.77.0.2:7777")
	there = netip.MustParseAddrPort("10.77.0.1:5557")
)

// frame is one that has a datagram from there to here.
func frame(data []byte) []byte {
	b := make([]byte, headers, headers+len(data))
	put := binary.BigEndian.PutUint16
	put(b[typeAt:], typeIPv4)
	b[versionAt] = withoutOptions
	put(b[lengthAt:], uint16(ipSize+udpSize+len(data)))
	b[versionAt+8] = 64 // hops
	b[protocolAt] = protocolUDP
	copy(b[sourceAt:], there.Addr().AsSlice())
	copy(b[destinationAt:], here.Addr().AsSlice())
	put(b[fromPortAt:], there.Port())
	put(b[toPortAt:], here.Port())
	put(b[udpLengthAt:], uint16(udpSize+len(data)))
	return append(b, data...)
}

// changed is a frame of which one byte is another.
func changed(at int, to byte, data []byte) []byte {
	b := frame(data)
	if b[at] == to {
		panic("it is that byte")
	}
	b[at] = to
	return b
}

// strange are frames that the program leaves to the kernel, by what is strange.
func strange(data []byte) map[string][]byte {
	tagged := slices.Insert(frame(data), typeAt, 0x81, 0, 0, 5)
	options := slices.Insert(changed(versionAt, 0x46, data), headers-udpSize, 1, 1, 1, 1)
	return map[string][]byte{
		"of another port":       changed(fromPortAt+1, 1, data),
		"to another port":       changed(toPortAt, 1, data),
		"of another address":    changed(sourceAt+3, 9, data),
		"of a far address":      changed(sourceAt, 200, data),
		"to another address":    changed(destinationAt+3, 255, data),
		"the first fragment":    changed(fragmentAt, 0x20, data),
		"a later fragment":      changed(fragmentAt+1, 1, data),
		"a far fragment":        changed(fragmentAt, 0x10, data),
		"with options":          options,
		"with a shorter header": changed(versionAt, 0x44, data),
		"of IPv6":               changed(typeAt, 0x86, data),
		"of another version":    changed(versionAt, 0x65, data),
		"of TCP":                changed(protocolAt, 6, data),
		"of a VLAN":             tagged,
	}
}

// lying are frames whose headers say other lengths than they have.
func lying(data []byte) map[string][]byte {
	return map[string][]byte{
		"longer than it is":       changed(lengthAt, 0x7f, data),
		"longer by one":           changed(lengthAt+1, byte(ipSize+udpSize+len(data)+1), data),
		"no room for its headers": changed(lengthAt+1, ipSize+udpSize-1, data),
		"of no length":            changed(lengthAt+1, 0, data),
		"UDP longer":              changed(udpLengthAt, 1, data),
		"UDP shorter":             changed(udpLengthAt+1, udpSize, data),
		"UDP of no length":        changed(udpLengthAt+1, 0, data),
	}
}

func TestPayload(t *testing.T) {
	for name, want := range map[string][]byte{"nothing": {}, "a byte": {7}, "the most": bytes.Repeat([]byte{7}, longest-headers)} {
		whole := frame(want)
		if got, ok := payload(whole, here, there); !ok || !bytes.Equal(got, want) {
			t.Errorf("%s: %x, %v", name, got, ok)
		}
		// A short frame is filled up on its way.
		if got, ok := payload(append(whole, make([]byte, 46)...), here, there); !ok || !bytes.Equal(got, want) {
			t.Errorf("%s, filled up: %x, %v", name, got, ok)
		}
		for n := range min(len(whole), 60) {
			if got, ok := payload(whole[:n], here, there); ok {
				t.Errorf("%s, cut to %d: %x", name, n, got)
			}
		}
	}
	for _, frames := range []map[string][]byte{strange([]byte("data")), lying([]byte("data"))} {
		for name, b := range frames {
			if got, ok := payload(b, here, there); ok {
				t.Errorf("%s: %x", name, got)
			}
		}
	}
}

// FuzzFrames: whatever comes, what is passed on lies within it and is of the peer.
func FuzzFrames(f *testing.F) {
	f.Add(frame([]byte("data")))
	f.Add(frame(nil)[:headers-1])
	for _, frames := range []map[string][]byte{strange([]byte("data")), lying([]byte("data"))} {
		for _, b := range frames {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, ok := payload(b, here, there)
		if !ok {
			return
		}
		again := frame(got)
		for _, at := range [][2]int{{typeAt, versionAt + 1}, {lengthAt, lengthAt + 2}, {protocolAt, protocolAt + 1}, {sourceAt, udpLengthAt + 2}, {headers, len(again)}} {
			if !bytes.Equal(again[at[0]:at[1]], b[at[0]:at[1]]) {
				t.Fatalf("%x is passed on of %x", got, b)
			}
		}
	})
}

// TestAddressesThatAreNone: what cannot be taken is refused, with what to do.
func TestAddressesThatAreNone(t *testing.T) {
	for name, c := range map[string]struct {
		local, remote string
		says          string
		loopback      bool
	}{
		"IPv6":                    {"[2001:db8::1]:5", "[2001:db8::2]:5", "only those of IPv4", false},
		"IPv6 there":              {"192.0.2.1:5", "[2001:db8::2]:5", "only those of IPv4", false},
		"no port":                 {"192.0.2.1:0", "192.0.2.2:5", "only those of IPv4", false},
		"an address of nobody":    {"203.0.113.7:5", "203.0.113.8:5", "203.0.113.7", false},
		"this PC":                 {"127.0.0.1:5", "127.0.0.1:6", "no interface is between", true},
		"this PC, as one of IPv6": {"[::ffff:127.0.0.1]:5", "[::ffff:127.0.0.1]:6", "no interface is between", true},
	} {
		s, err := Listen(netip.MustParseAddrPort(c.local), netip.MustParseAddrPort(c.remote))
		var refused *Refusal
		if s != nil || !errors.As(err, &refused) || refused.Remedy == "" || !strings.Contains(err.Error(), c.says) || Loopback(err) != c.loopback {
			t.Errorf("%s: %v", name, err)
		}
	}
}

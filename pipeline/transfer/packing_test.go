package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

// tagBytes are tags of a Poisson source of 1 Mcps, eight bytes each, and more bytes
// after them.
func tagBytes(tags, more int) (b []byte) {
	random := rand.New(rand.NewPCG(5, 8))
	at := 0.0
	for range tags {
		at += random.ExpFloat64() * 1e6
		b = binary.LittleEndian.AppendUint64(b, uint64(at))
	}
	return append(b, make([]byte, more)...)
}

// tagSource makes a file of tags of bob.
func (b *bench) tagSource(id uint32, tags int) File {
	b.t.Helper()
	f, content := b.source("bob", id, 1), tagBytes(tags, 0)
	f.Size, f.SHA256 = int64(len(content)), sha256.Sum256(content)
	if err := os.WriteFile(f.Path, content, 0o600); err != nil {
		b.t.Fatal(err)
	}
	return f
}

// Chunks come back byte for byte wherever they begin and end.
func TestPackedChunks(t *testing.T) {
	all := tagBytes(70_000, 5)
	var p, q packer
	for _, from := range []int{0, 1, 7, 8, 13} {
		for _, length := range []int{1, 7, 8, 9, 100, 1000, 65536 * 8, len(all) - from} {
			b := all[from : from+length]
			packed, ok := p.pack(b, int64(from))
			if !ok {
				if length >= 1000 {
					t.Errorf("%d bytes of tags at %d do not become shorter", length, from)
				}
				continue
			}
			got := bytes.Repeat([]byte{7}, length)
			if err := q.unpack(got, packed, int64(from)); err != nil || !bytes.Equal(got, b) {
				t.Errorf("%d bytes at %d come back others: %v", length, from, err)
			}
			for name, wrong := range map[string][]byte{"shorter": packed[:len(packed)-1], "longer": append(packed[:len(packed):len(packed)], 0), "nothing": nil} {
				if q.unpack(got, wrong, int64(from)) == nil {
					t.Errorf("%d bytes at %d, packed and %s, are taken", length, from, name)
				}
			}
			if q.unpack(make([]byte, length+8), packed, int64(from)) == nil || length > 8 && q.unpack(make([]byte, length-8), packed, int64(from)) == nil {
				t.Errorf("%d bytes at %d are taken for more or fewer", length, from)
			}
		}
	}
	noise := make([]byte, 1<<16)
	rand.NewChaCha8([32]byte{3}).Read(noise)
	if _, ok := p.pack(noise, 0); ok {
		t.Error("noise becomes shorter")
	}
}

func FuzzUnpackChunk(f *testing.F) {
	var p packer
	packed, _ := p.pack(tagBytes(300, 3), 5)
	f.Add(packed, int64(5), 2403)
	f.Add([]byte{}, int64(0), 1)
	f.Fuzz(func(t *testing.T, packed []byte, offset int64, length int) {
		if length < 1 || length > 1<<16 || offset < 0 {
			return
		}
		var q packer
		b := make([]byte, length)
		if q.unpack(b, packed, offset) == nil && cap(q.tags) > 1<<16 {
			t.Errorf("%d tags are held for %d bytes", cap(q.tags), length)
		}
	})
}

// slowly sends files over a link that carries about 4 MB/s, and returns what was said.
func (b *bench) slowly(o SenderOptions, files ...File) *Sender {
	b.t.Helper()
	p := newProxy(b.t, b.receiver.Addr().String(), func(_ int, _ int64, said []byte) bool {
		time.Sleep(time.Duration(len(said)) * 250 * time.Nanosecond)
		return true
	})
	token := [16]byte{1}
	b.receiver.Admit(admission(token, "bob", b.dir))
	o.Addr, o.Token, o.Chunk = p.addr(), token, 64<<10
	if o.Ask == nil {
		o.Ask = func(_ context.Context, f File) (Answer, error) { return b.receiver.Ask(token, f), nil }
	}
	s := NewSender(o)
	if err := send(b.t, s, files...); err != nil {
		b.t.Fatal(err)
	}
	return s
}

// A slow link carries tags packed, noise as it is, and nothing packed to a Receiver that
// does not say that it unpacks, nor where nobody asked for it.
func TestSlowLinkCarriesPacked(t *testing.T) {
	for name, c := range map[string]struct {
		compress, old bool
	}{"auto": {true, false}, "none": {false, false}, "an old master": {true, true}} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			tags, noise := b.tagSource(1, 100_000), b.source("bob", 2, 300_000)
			o := SenderOptions{Compress: c.compress, Streams: 2}
			if c.old {
				o.Ask = func(_ context.Context, f File) (Answer, error) {
					a := b.receiver.Ask([16]byte{1}, f)
					a.Unpacks = false
					return a, nil
				}
			}
			said := b.slowly(o, tags, noise).Sent()
			b.arrived(tags, noise)
			switch packs := c.compress && !c.old; {
			case said.Bytes != tags.Size+noise.Size:
				t.Errorf("%d bytes were sent, the files have %d", said.Bytes, tags.Size+noise.Size)
			case packs && (said.Packed < 64<<10 || said.Packed > tags.Size || said.Ratio() < 2): // how much follows from speed
				t.Errorf("packed is %+v, of %d bytes of tags", said, tags.Size)
			case !packs && said.Packed != 0:
				t.Errorf("packed is %+v", said)
			case said.LinkPerS <= 0 || packs != (said.PackPerS > 0):
				t.Errorf("rates are %+v", said)
			}
		})
	}
}

// What decides is what packing saves of the link against what it costs.
func TestWhetherPackingPays(t *testing.T) {
	for _, c := range []struct {
		link, pack, left float64 // bytes/s, bytes/s, of one byte
		pays             bool
	}{
		{0, 1e9, 0.4, true}, // not measured yet
		{125e3, 1e9, 0.4, true},
		{125e6, 1e9, 0.4, true},
		{1e9, 1e9, 0.4, false},
		{125e6, 1e8, 0.4, false}, // a PC that has better to do
		{125e3, 1e9, 0.95, false},
		{125e3, 1e9, 1.2, false},
	} {
		m := meter{auto: true, unpacks: true}
		m.notePacked(1e6, int(c.left*1e6), time.Duration(1e6/c.pack*1e9))
		if c.link > 0 {
			m.noteCarried(int64(c.link/2), time.Second/2)
		}
		if got := m.pays(1); got != c.pays {
			t.Errorf("link %.0f, packing %.0f bytes/s, %.2f are left: pays %v", c.link, c.pack, c.left, got)
		}
		tries := 0
		for range 10 * tryEvery {
			if m.due(1) {
				tries++
				m.sincePut = 0
			}
		}
		if !c.pays && tries != 10 {
			t.Errorf("packing that does not pay is tried %d times", tries)
		}
	}
}

// Damage on the way of a packed chunk is found, and ends no connection.
func TestPackedChunkIsDamaged(t *testing.T) {
	b := newBench(t)
	f := b.tagSource(1, 50_000)
	var damaged atomic.Int32
	p := newProxy(t, b.receiver.Addr().String(), func(_ int, at int64, said []byte) bool {
		if at > 40_000 && len(said) > 2000 && damaged.CompareAndSwap(0, 1) {
			said[1000] ^= 4
		}
		return true
	})
	s := b.node("bob", 1, p.addr())
	s.options.Compress = true
	if err := send(t, s, f); err != nil {
		t.Fatal(err)
	}
	b.arrived(f)
	if damaged.Load() == 0 {
		t.Error("nothing was damaged")
	}
}

// A transfer of packed chunks whose ends are killed goes on where it was.
func TestKilledPackedTransferGoesOn(t *testing.T) {
	b := newBench(t)
	f := b.tagSource(1, 1_000_000)
	count := &sent{}
	for kill := range int64(4) {
		l := begin(t, b.dir)
		l.sendUntil(SenderOptions{Chunk: 64 << 10, Compress: true}, f, (kill+1)*f.Size/8, count)
	}
	l := begin(t, b.dir)
	s := l.sender(SenderOptions{Compress: true}, count)
	if err := send(t, s, f); err != nil {
		t.Fatal(err)
	}
	b.arrived(f)
	if again, most := count.bytes-f.Size, int64(4*DefaultWindow*64<<10); again > most {
		t.Errorf("%d bytes were sent again, at most %d were on their way", again, most)
	}
}

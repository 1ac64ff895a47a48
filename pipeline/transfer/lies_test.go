package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/internal/hostile"
	"tsrun/internal/need"
	"tsrun/pipeline/wire"
	"tsrun/sdk/zmtp"
)

func TestWrongHashIsRefusedInTheEnd(t *testing.T) {
	b := newBench(t)
	s := b.node("bob", 1, "")
	bad, good := b.source("bob", 1, 100_000), b.source("bob", 2, 100_000)
	bad.SHA256[5] ^= 1
	err := send(t, s, bad, good)
	if err == nil || !strings.Contains(err.Error(), bad.Name) || !strings.Contains(err.Error(), "SHA-256") {
		t.Fatalf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(b.dir, bad.Name)); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("a file with another hash was kept: %v", err)
	}
	b.arrived(good) // the others are none the worse, and no part is left
}

func TestFileThatIsThereAlready(t *testing.T) {
	b := newBench(t)
	same, other, longer := b.source("bob", 1, 5000), b.source("bob", 2, 5000), b.source("bob", 3, 5000)
	content, err := os.ReadFile(same.Path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(b.dir, "raw/bob"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string][]byte{same.Name: content, other.Name: content, longer.Name: append(content, 0)} {
		if err := os.WriteFile(filepath.Join(b.dir, name), c, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	err = send(t, b.node("bob", 1, ""), same, other, longer)
	if err == nil || strings.Contains(err.Error(), same.Name) || strings.Count(err.Error(), "there already") != 2 {
		t.Fatalf("got %v", err)
	}
	if got, err := os.ReadFile(filepath.Join(b.dir, other.Name)); err != nil || !bytes.Equal(got, content) {
		t.Fatalf("the file that was there was touched: %v", err)
	}
}

func TestSourceThatChanged(t *testing.T) {
	b := newBench(t)
	s := b.node("bob", 1, "")
	gone, longer, good := b.source("bob", 1, 5000), b.source("bob", 2, 5000), b.source("bob", 3, 5000)
	if err := os.Remove(gone.Path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(longer.Path, make([]byte, 6000), 0o600); err != nil {
		t.Fatal(err)
	}
	err := send(t, s, gone, longer, good)
	if err == nil || !strings.Contains(err.Error(), gone.Path) || !strings.Contains(err.Error(), "6000 bytes now and had 5000") {
		t.Fatalf("got %v", err)
	}
	if a := b.receiver.Ask([16]byte{1}, File{ID: 3, Name: good.Name, Size: good.Size, SHA256: good.SHA256}); !a.Verified {
		t.Fatalf("the good file: %+v", a)
	}
}

func TestAskBelievesNothing(t *testing.T) {
	b := newBench(t)
	token := [16]byte{1}
	b.receiver.Admit(admission(token, "bob", b.dir))
	good := File{ID: 1, Name: "raw/bob/x.bin", Size: 100}
	if a := b.receiver.Ask(token, good); a.Refused != "" || len(a.Missing) != 1 || a.Missing[0] != (Range{0, 100}) {
		t.Fatalf("got %+v", a)
	}
	for name, change := range map[string]func(f *File){
		"another size":   func(f *File) { f.Size = 200 },
		"another hash":   func(f *File) { f.SHA256[0] = 1 },
		"another name":   func(f *File) { f.Name = "raw/bob/y.bin" },
		"same name":      func(f *File) { f.ID = 2 },
		"out of the way": func(f *File) { f.ID, f.Name = 3, "raw/bob/../../../etc/x" },
		"other's folder": func(f *File) { f.ID, f.Name = 4, "raw/alice/x.bin" },
		"negative size":  func(f *File) { f.ID, f.Name, f.Size = 5, "raw/bob/z.bin", -1 },
	} {
		f := good
		change(&f)
		if a := b.receiver.Ask(token, f); a.Refused == "" || a.Verified || a.Missing != nil {
			t.Errorf("%s: %+v", name, a)
		}
	}
	if a := b.receiver.Ask([16]byte{9}, good); !strings.Contains(a.Refused, "no session") {
		t.Errorf("unknown token: %+v", a)
	}
	if a := b.receiver.Ask(token, good); a.Refused != "" {
		t.Errorf("the good file suffered: %+v", a)
	}
	for id := uint32(10); ; id++ {
		a := b.receiver.Ask(token, File{ID: id, Name: fmt.Sprintf("raw/bob/%d", id), Size: 1})
		if a.Refused != "" {
			if id != 10+maxUnderWay-1 {
				t.Errorf("%d files under way", id-10+1)
			}
			break
		}
	}
}

func TestSymbolicLinkLeadsNowhere(t *testing.T) {
	b := newBench(t)
	outside := t.TempDir()
	if err := os.MkdirAll(filepath.Join(b.dir, "raw"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(b.dir, "raw/bob")); err != nil {
		t.Fatal(err)
	}
	err := send(t, b.node("bob", 1, ""), b.source("bob", 1, 10))
	if err == nil {
		t.Fatal("wrote through a link out of the run directory")
	}
	if left, _ := os.ReadDir(outside); len(left) > 0 {
		t.Fatalf("left %v there", left)
	}
}

// say connects like a sender and says chunks, each with a head of its own.
func say(t *testing.T, b *bench, chunks ...[][]byte) *zmtp.Conn {
	t.Helper()
	c, err := zmtp.Dial(t.Context(), "tcp", b.receiver.Addr().String(), zmq4.Pair)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	for _, frames := range chunks {
		if err := c.Send(wait, frames...); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func encoded(h head) []byte {
	b := make([]byte, headSize)
	h.encode(b)
	return b
}

func TestLyingSender(t *testing.T) {
	b := newBench(t)
	s := b.node("bob", 1, "")
	token := [16]byte{1}
	f := b.source("bob", 1, 1000)
	small := f
	small.Path = ""
	b.receiver.Ask(token, small)
	x := []byte("x")
	ok := head{token: token, file: 1, number: 1, length: 1}
	with := func(change func(h *head)) []byte { h := ok; change(&h); return encoded(h) }
	// These are framed well, so the connection stays and only the chunk is dropped.
	c := say(t, b,
		[][]byte{with(func(h *head) { h.offset = 1000 }), x},
		[][]byte{with(func(h *head) { h.number, h.offset = 2, maxSize }), x},
		[][]byte{with(func(h *head) { h.number, h.file = 3, 99 }), x},
		[][]byte{with(func(h *head) { h.number, h.sum = 4, 1 }), x},
	)
	for number := uint64(1); number <= 4; number++ {
		var credit [creditSize]byte
		if err := c.SetReadDeadline(time.Now().Add(wait)); err != nil {
			t.Fatal(err)
		}
		frame, more, err := c.ReadFrame(credit[:])
		if err != nil || more {
			t.Fatal("no credit for a chunk that was dropped: ", err)
		}
		if got, err := decodeCredit(frame); err != nil || got != number {
			t.Fatalf("credit for chunk %d after %d: %v", got, number-1, err)
		}
	}
	if a := b.receiver.Ask(token, small); len(a.Missing) != 1 || a.Missing[0].Length != 1000 {
		t.Fatalf("believed a lie: %+v", a)
	}
	c.Close()
	// These end the connection.
	for name, frames := range map[string][][]byte{
		"later number":   {with(func(h *head) { h.number = 2 }), x},
		"unknown token":  {with(func(h *head) { h.token = [16]byte{9} }), x},
		"no bytes":       {encoded(ok)},
		"other length":   {encoded(ok), []byte("xx")},
		"three frames":   {encoded(ok), x, x},
		"no chunk":       {[]byte("hello"), x},
		"long head":      {make([]byte, 1<<20)},
		"length of 2^32": {with(func(h *head) { h.length = 1<<32 - 1 }), x},
	} {
		c := say(t, b)
		if c.Send(wait, frames...) != nil {
			continue // ended before all was said
		}
		if err := c.SetReadDeadline(time.Now().Add(wait)); err != nil {
			t.Fatal(err)
		}
		var credit [creditSize]byte
		if _, _, err := c.ReadFrame(credit[:]); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := send(t, s, f); err != nil {
		t.Fatal(err)
	}
	b.arrived(f)
}

func TestHostileBytesOnTheFilesPort(t *testing.T) {
	b := newBench(t)
	for _, said := range hostile.Bytes("PAIR") {
		nc, err := net.Dial("tcp", b.receiver.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		nc.Write(said) // fails when the receiver has had enough
	}
	f := b.source("bob", 1, 1<<20)
	if err := send(t, b.node("bob", 1, ""), f); err != nil {
		t.Fatal(err)
	}
	b.arrived(f)
}

func TestFullDisk(t *testing.T) {
	b := newBenchIn(t, need.Disk(t, "1m"))
	small, large := b.source("bob", 1, 100_000), b.source("bob", 2, 2<<20)
	err := send(t, b.node("bob", 1, ""), small, large)
	if err == nil || !strings.Contains(err.Error(), large.Name) || !strings.Contains(err.Error(), "disk is full; free space") {
		t.Fatalf("got %v", err)
	}
	b.arrived(small)
}

// One question takes no room that is to stay free, however large a file it names.
func TestRoomThatStaysFree(t *testing.T) {
	dir := need.Disk(t, "4m")
	r, err := NewReceiver("127.0.0.1:0", wire.Guard{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	token := [16]byte{1}
	r.KeepFree(1 << 20)
	r.Admit(admission(token, "bob", dir))
	for id, size := range []int64{maxSize, 1 << 32, 7 << 19} {
		a := r.Ask(token, File{ID: uint32(id), Name: fmt.Sprintf("raw/bob/%d", id), Size: size})
		if !strings.Contains(a.Refused, "disk is full") {
			t.Errorf("%d bytes of 4 MiB: %+v", size, a)
		}
	}
	if a := r.Ask(token, File{ID: 9, Name: "raw/bob/9", Size: 2 << 20}); a.Refused != "" {
		t.Errorf("2 MiB of 4: %s", a.Refused)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "raw/bob/*")); err != nil || len(left) != 2 { // the part and its ledger
		t.Errorf("%v are left: %v", left, err)
	}
}

func TestLyingReceiver(t *testing.T) {
	b := newBench(t)
	for name, a := range map[string]Answer{
		"beyond the end": {Missing: []Range{{0, 101}}},
		"before it":      {Missing: []Range{{-1, 5}}},
		"nothing":        {Missing: []Range{{5, 0}}},
		"too many":       {Missing: make([]Range, maxRanges+1)},
	} {
		s := NewSender(SenderOptions{Addr: b.receiver.Addr().String(), Ask: func(context.Context, File) (Answer, error) { return a, nil }})
		if err := send(t, s, b.source("bob", 1, 100)); err == nil || !strings.Contains(err.Error(), "misses") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSenderEnds(t *testing.T) {
	b := newBench(t)
	t.Run("with its context", func(t *testing.T) {
		s := NewSender(SenderOptions{Addr: "127.0.0.1:1", Ask: func(context.Context, File) (Answer, error) { return Answer{Missing: []Range{{0, 10}}}, nil }})
		s.Queue(b.source("bob", 1, 10))
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := s.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
	})
	t.Run("when nobody answers", func(t *testing.T) {
		gone := errors.New("the master is gone")
		s := NewSender(SenderOptions{Addr: "127.0.0.1:1", Ask: func(context.Context, File) (Answer, error) { return Answer{}, gone }})
		if err := send(t, s, b.source("bob", 1, 10)); !errors.Is(err, gone) {
			t.Fatal(err)
		}
	})
	t.Run("without files", func(t *testing.T) {
		if err := send(t, b.node("bob", 1, "")); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("with chunks too large", func(t *testing.T) {
		if err := send(t, NewSender(SenderOptions{Chunk: MaxChunk + 1})); err == nil {
			t.Fatal("accepted")
		}
	})
}

func TestFilesPortInUse(t *testing.T) {
	b := newBench(t)
	_, err := NewReceiver(b.receiver.Addr().String(), wire.Guard{}, nil)
	if err == nil || !strings.Contains(err.Error(), b.receiver.Addr().String()) || !strings.Contains(err.Error(), "choose another port") {
		t.Fatalf("got %v", err)
	}
}

// Peers that say nothing, as many as the port takes, keep no file out.
func TestIdlePeersKeepNobodyOut(t *testing.T) {
	b := newBench(t)
	for range maxConns {
		c, err := zmtp.Dial(t.Context(), "tcp", b.receiver.Addr().String(), zmq4.Pair)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
	}
	f := b.source("bob", 1, 300_000)
	if err := send(t, b.node("bob", 1, ""), f); err != nil {
		t.Fatal(err)
	}
	b.arrived(f)
}

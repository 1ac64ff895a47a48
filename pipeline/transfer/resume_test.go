package transfer

import (
	"context"
	"encoding/json"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/pipeline/wire"
)

// life is a receiver that can end at any moment, and a log of what senders sent.
type life struct {
	t        *testing.T
	receiver *Receiver
	end      func()
}

// begin starts a receiver for files of bob below dir.
func begin(t *testing.T, dir string) *life {
	t.Helper()
	r, err := NewReceiver("127.0.0.1:0", wire.Guard{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Admit(admission([16]byte{1}, "bob", dir))
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	l := &life{t: t, receiver: r}
	l.end = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		r.Close()
	})
	t.Cleanup(l.end)
	return l
}

// sent is what a sender says of what it sent.
type sent struct {
	mu           sync.Mutex
	bytes, again int64
}

func (s *sent) Write(line []byte) (int, error) {
	var said struct {
		Msg          string
		Bytes, Again int64
	}
	if err := json.Unmarshal(line, &said); err == nil && said.Msg == "files sent" {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.bytes, s.again = s.bytes+said.Bytes, s.again+said.Again
	}
	return len(line), nil
}

// sender returns one that sends to l, until ctx ends it.
func (l *life) sender(o SenderOptions, count *sent) *Sender {
	o.Addr, o.Token, o.Log = l.receiver.Addr().String(), [16]byte{1}, slog.New(slog.NewJSONHandler(count, nil))
	o.Ask = func(_ context.Context, f File) (Answer, error) { return l.receiver.Ask(o.Token, f), nil }
	return NewSender(o)
}

// sendUntil sends f until about some bytes of it are at l, and then ends both as
// if they were killed: nothing is said, nothing is tidied up.
func (l *life) sendUntil(o SenderOptions, f File, some int64, count *sent) {
	l.t.Helper()
	ctx, cancel := context.WithCancel(l.t.Context())
	var passed atomic.Int64
	p := newProxy(l.t, l.receiver.Addr().String(), func(_ int, _ int64, b []byte) bool {
		if passed.Add(int64(len(b))) > some+some/50+64<<10 { // with heads; the network stands still
			<-ctx.Done()
			return false
		}
		return true
	})
	s := l.sender(o, count)
	s.options.Addr = p.addr()
	s.Queue(f)
	s.Finish()
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	for late := time.Now().Add(wait); ; time.Sleep(100 * time.Microsecond) {
		if in := l.incoming(f); in.bytes >= some || in.state == verified {
			break
		}
		if time.Now().After(late) {
			l.t.Fatal("nothing arrives")
		}
	}
	cancel()
	<-ran
	l.end()
}

type seen struct {
	bytes int64
	state state
}

func (l *life) incoming(f File) seen {
	s := l.receiver.session([16]byte{1})
	s.mu.Lock()
	defer s.mu.Unlock()
	if in := s.files[f.ID]; in != nil {
		return seen{in.got.bytes(), in.state}
	}
	return seen{}
}

// Both ends are killed again and again, and come back with other settings: what
// had arrived is not sent again, but for what was on its way.
func TestKilledTransferGoesOn(t *testing.T) {
	const size, kills, window = 12 << 20, 10, 4
	b := newBench(t)
	f := b.source("bob", 1, size)
	random := rand.New(rand.NewPCG(7, 11))
	count, most, arrived := &sent{}, int64(0), int64(0)
	for range kills {
		o := SenderOptions{Chunk: 16 << 10 << random.IntN(3), Streams: 1 + random.IntN(3), Window: window}
		most += int64(o.Chunk) * int64(o.Streams) * window
		l := begin(t, b.dir)
		arrived += random.Int64N(size / kills)
		l.sendUntil(o, f, arrived, count)
	}
	l := begin(t, b.dir)
	if err := send(t, l.sender(SenderOptions{Streams: 2}, count), f); err != nil {
		t.Fatal(err)
	}
	b.arrived(f)
	if count.bytes < size || count.bytes > size+most {
		t.Errorf("%d bytes were sent of a file of %d; at most %d may be sent again", count.bytes, size, most)
	}
	t.Logf("%d bytes sent again in %d kills; %d were the most on their way", count.bytes-size, kills, most)
}

// A byte of what was kept is flipped, and then its chunk alone is sent again.
func TestFlippedByteInWhatWasKept(t *testing.T) {
	const size, chunk, kept = 64 * chunkOfTests, chunkOfTests, 40 * chunkOfTests
	b := newBench(t)
	f := b.source("bob", 1, size)
	l, count := begin(t, b.dir), &sent{}
	l.sendUntil(SenderOptions{Chunk: chunk}, f, kept, count)
	had := count.bytes
	flip(t, filepath.Join(b.dir, f.Name+partSuffix), 17*chunk+5)
	l = begin(t, b.dir)
	if err := send(t, l.sender(SenderOptions{Chunk: chunk}, count), f); err != nil {
		t.Fatal(err)
	}
	b.arrived(f)
	if again, most := count.bytes-size, int64(DefaultWindow*chunk+chunk); again < chunk || again > most {
		t.Errorf("%d bytes were sent twice after %d; one chunk of %d was wrong, and %d may have been on their way", again, had, chunk, DefaultWindow*chunk)
	}
}

const chunkOfTests = 16 << 10

// A byte is flipped on the master's disk after it was written and before it was
// hashed: its chunk alone is sent again.
func TestFlippedByteBeforeTheHash(t *testing.T) {
	const size = 64 * chunkOfTests
	b := newBench(t)
	f := b.source("bob", 1, size)
	l, count := begin(t, b.dir), &sent{}
	for range maxHashing {
		l.receiver.hashing <- true // nothing is read back meanwhile
	}
	ended := make(chan error, 1)
	go func() { ended <- send(t, l.sender(SenderOptions{Chunk: chunkOfTests}, count), f) }()
	for late := time.Now().Add(wait); l.incoming(f).state != verifying; time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("the file does not become complete")
		}
	}
	flip(t, filepath.Join(b.dir, f.Name+partSuffix), 9*chunkOfTests)
	for range maxHashing {
		<-l.receiver.hashing
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	b.arrived(f)
	if count.bytes != size+chunkOfTests {
		t.Errorf("%d bytes were sent of %d with one wrong chunk of %d", count.bytes, size, chunkOfTests)
	}
}

func flip(t *testing.T, name string, at int64) {
	t.Helper()
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var b [1]byte
	if _, err := file.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x10
	if _, err := file.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
}

// A byte of the source is flipped after it was hashed: the master does not call
// the file complete, both users are told, and the source stays.
func TestFlippedByteInTheSource(t *testing.T) {
	b := newBench(t)
	s := b.node("bob", 1, "")
	bad, good := b.source("bob", 1, 300_000), b.source("bob", 2, 300_000)
	flip(t, bad.Path, 200_001)
	err := send(t, s, bad, good)
	if err == nil || !strings.Contains(err.Error(), bad.Path+" is not what was recorded any more") || !strings.Contains(err.Error(), bad.SHA256.String()) {
		t.Fatalf("the node was told %v", err)
	}
	if _, err := os.Stat(bad.Path); err != nil {
		t.Errorf("the source is gone: %v", err)
	}
	b.arrived(good)
	for late := time.Now().Add(wait); !strings.Contains(b.seen()[bad.Name].Refused, "not what was recorded"); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("the master was told %+v", b.seen()[bad.Name])
		}
	}
}

// What stands beside a part and is no ledger of this very file proves nothing.
func TestLedgersThatProveNothing(t *testing.T) {
	const size = 20 * chunkOfTests
	for name, change := range map[string]func(f File, ledger []byte) []byte{
		"none":        func(File, []byte) []byte { return nil },
		"a torn head": func(_ File, b []byte) []byte { return b[:ledgerHeadSize-1] },
		"noise":       func(_ File, b []byte) []byte { return []byte(strings.Repeat("?", len(b))) },
		"of another size": func(f File, b []byte) []byte {
			return append(encodeLedgerHead(f.Size+1, f.SHA256), b[ledgerHeadSize:]...)
		},
		"of another file": func(f File, b []byte) []byte {
			return append(encodeLedgerHead(f.Size, Digest{1}), b[ledgerHeadSize:]...)
		},
		"entries of another": func(f File, b []byte) []byte {
			other := encodeLedgerHead(f.Size, Digest{1})
			return append(b[:ledgerHeadSize:ledgerHeadSize], entry{0, chunkOfTests, 7}.encode(other)...)
		},
		"an invented entry": func(f File, b []byte) []byte {
			return append(b[:ledgerHeadSize:ledgerHeadSize], entry{0, MaxChunk, 7}.encode(b[:ledgerHeadSize])...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			f := b.source("bob", 1, size)
			l, count := begin(t, b.dir), &sent{}
			l.sendUntil(SenderOptions{Chunk: chunkOfTests}, f, size/2, count)
			ledger := filepath.Join(b.dir, ledgerName(f.Name))
			content, err := os.ReadFile(ledger)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(ledger, change(f, content), 0o600); err != nil {
				t.Fatal(err)
			}
			count.bytes = 0
			l = begin(t, b.dir)
			if err := send(t, l.sender(SenderOptions{Chunk: chunkOfTests}, count), f); err != nil {
				t.Fatal(err)
			}
			b.arrived(f)
			if count.bytes != size {
				t.Errorf("%d bytes were sent of %d, of which none was proven", count.bytes, size)
			}
		})
	}
}

// A torn or damaged entry ends a ledger, and costs what comes after it.
func TestTornLedger(t *testing.T) {
	head := encodeLedgerHead(100, Digest{3})
	whole := append(head[:len(head):len(head)], entry{0, 10, 1}.encode(head)...)
	whole = append(whole, entry{10, 10, 2}.encode(head)...)
	for n := range len(whole) + 1 {
		_, _, entries, err := decodeLedger(whole[:n])
		if want := max(0, (n-ledgerHeadSize)/ledgerEntrySize); len(entries) != want || (err == nil) != (n >= ledgerHeadSize) {
			t.Fatalf("%d entries in %d bytes: %v", len(entries), n, err)
		}
	}
	for at := range whole {
		torn := append([]byte(nil), whole...)
		torn[at] ^= 1
		_, _, entries, err := decodeLedger(torn)
		if want := max(0, (at-ledgerHeadSize)/ledgerEntrySize); len(entries) != want || at < ledgerHeadSize != (err != nil) {
			t.Fatalf("%d entries where byte %d was changed: %v", len(entries), at, err)
		}
	}
}

// Two receivers never write to one file, nor does one over a finished file.
func TestOneReceiverAFile(t *testing.T) {
	b := newBench(t)
	f := b.source("bob", 1, 1000)
	small := f
	small.Path = ""
	first, second := begin(t, b.dir), begin(t, b.dir)
	if a := first.receiver.Ask([16]byte{1}, small); a.Refused != "" {
		t.Fatal(a.Refused)
	}
	if a := second.receiver.Ask([16]byte{1}, small); !strings.Contains(a.Refused, "another process is receiving") {
		t.Fatalf("the second one answered %+v", a)
	}
	if err := send(t, first.sender(SenderOptions{}, &sent{}), f); err != nil {
		t.Fatal(err)
	}
	if err := send(t, second.sender(SenderOptions{}, &sent{}), f); err != nil { // it looks at what is there
		t.Fatal(err)
	}
	b.arrived(f)
}

// What an earlier process kept takes no room a second time.
func TestKeptBytesTakeNoRoomTwice(t *testing.T) {
	dir := need.Disk(t, "3m")
	b := newBenchIn(t, dir)
	f := b.source("bob", 1, 2<<20)
	l, count := begin(t, dir), &sent{}
	l.sendUntil(SenderOptions{Chunk: chunkOfTests}, f, 1<<20, count)
	l = begin(t, dir)
	if err := send(t, l.sender(SenderOptions{}, count), f); err != nil {
		t.Fatal(err)
	}
	b.arrived(f)
}

// Nothing but finished files is left when all is done.
func TestNothingIsLeftBeside(t *testing.T) {
	b := newBench(t)
	f := b.source("bob", 1, 100_000)
	if err := send(t, b.node("bob", 1, ""), f); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(b.dir, ledgerName(f.Name))); !os.IsNotExist(err) {
		t.Errorf("a ledger is left: %v", err)
	}
	filepath.WalkDir(b.dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(d.Name(), ".") {
			t.Errorf("%s is left", name)
		}
		return err
	})
}

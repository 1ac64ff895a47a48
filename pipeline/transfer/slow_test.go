package transfer

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stand makes the disk stand still for whoever opens f at the master: to open a
// pipe takes until somebody writes to it. It returns what ends that, once f is
// being opened.
func (b *bench) stand(f File) (end func()) {
	b.t.Helper()
	name := filepath.Join(b.dir, f.Name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := unix.Mkfifo(name, 0o600); err != nil {
		b.t.Fatal(err)
	}
	return func() {
		b.t.Helper()
		for late := time.Now().Add(wait); ; time.Sleep(time.Millisecond) {
			if w, err := os.OpenFile(name, os.O_WRONLY|unix.O_NONBLOCK, 0); err == nil {
				w.Close()
				return
			}
			if time.Now().After(late) {
				b.t.Fatal("nobody opened the file")
			}
		}
	}
}

// A question about a file does not wait for a disk that stands still over
// another, nor do those about the same one that come after it; when the disk is
// back there is an answer.
func TestQuestionsDoNotWaitForTheDisk(t *testing.T) {
	b := newBench(t)
	token := [16]byte{7}
	b.receiver.Admit(admission(token, "bob", b.dir))
	stuck, f := b.source("bob", 1, 100), b.source("bob", 2, 100)
	end := b.stand(stuck)
	first := make(chan Answer, 1)
	go func() { first <- b.receiver.Ask(token, stuck) }()
	s := b.receiver.session(token)
	entered := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.files[stuck.ID] != nil
	}
	for late := time.Now().Add(wait); !entered(); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("the question did not come")
		}
	}
	for range 100 {
		if a := b.receiver.Ask(token, stuck); a.Verified || a.Refused != "" || len(a.Missing) > 0 {
			t.Fatalf("answer %+v while the disk stands still", a)
		}
		if a := b.receiver.Ask(token, f); len(a.Missing) != 1 || a.Missing[0].Length != 100 {
			t.Fatalf("answer %+v about another file", a)
		}
	}
	b.receiver.writeChunk(s, head{file: stuck.ID, length: 1}, []byte{1}, true) // nobody may have sent it
	if b.receiver.Verified(token, stuck) {
		t.Error("verified without a byte")
	}
	end()
	if a := <-first; a.Refused == "" {
		t.Errorf("a pipe is taken for the file: %+v", a)
	}
	if err := os.Remove(filepath.Join(b.dir, stuck.Name)); err != nil {
		t.Fatal(err)
	}
	if a := b.receiver.Ask(token, stuck); len(a.Missing) != 1 || a.Missing[0].Length != 100 {
		t.Errorf("answer %+v when the disk is back", a)
	}
	if a := b.receiver.Ask([16]byte{8}, f); a.Refused == "" {
		t.Errorf("a stranger is answered %+v", a)
	}
}

// Only a file that was proven is verified, and to ask that makes room for none.
func TestVerified(t *testing.T) {
	b := newBench(t)
	s, token := b.node("bob", 1, ""), [16]byte{1}
	f := b.source("bob", 1, 1000)
	other := f
	other.SHA256[0] ^= 1
	if b.receiver.Verified(token, f) {
		t.Error("verified before it was sent")
	}
	b.arrived()
	if err := send(t, s, f); err != nil {
		t.Fatal(err)
	}
	for of, want := range map[File]bool{f: true, other: false} {
		if b.receiver.Verified(token, of) != want || b.receiver.Verified([16]byte{2}, of) {
			t.Errorf("%v: verified is not %v", of.SHA256, want)
		}
	}
}

// The time that an answer takes is no standstill of what was sent.
func TestWaitForAnAnswerIsNoStandstill(t *testing.T) {
	const slow = 50 * time.Millisecond
	before := time.Now()
	f := File{ID: 1, Name: "raw/bob/a", Size: 9}
	tr := newTransmission(SenderOptions{Ask: func(context.Context, File) (Answer, error) {
		time.Sleep(slow)
		return Answer{Missing: []Range{{0, 9}}}, nil
	}}, func() {})
	tr.enter([]File{f})
	tr.moved = before
	if err := tr.askAboutFiles(t.Context()); err != nil {
		t.Fatal(err)
	}
	if since := tr.moved.Sub(before); since < slow {
		t.Errorf("of %v that the answer took %v count as standstill", slow, slow-since)
	}
}

// Chunks are short until credit for one has come quickly, and never longer than asked for.
func TestChunksGrowWhereTheLinkIsQuick(t *testing.T) {
	tr := newTransmission(SenderOptions{Chunk: 4 * firstChunk}, func() {})
	st := &stream{t: tr}
	for i, step := range []struct {
		since time.Duration // the credit before; less than none is quick however long this PC pauses
		want  int           // length of the next chunk
	}{{2 * quickCredit, firstChunk}, {-time.Hour, 2 * firstChunk}, {time.Hour, 2 * firstChunk}, {-time.Hour, 4 * firstChunk}, {-time.Hour, 4 * firstChunk}} {
		number := uint64(i + 1)
		st.flight = []*flying{{o: &outgoing{flying: 1}, number: number}}
		st.credited = time.Now().Add(-step.since)
		if !st.applyCredit(nil, number) {
			t.Fatalf("credit for chunk %d is refused", number)
		}
		if tr.chunk != step.want {
			t.Errorf("after credit %d, %v after the one before it, chunks have %d bytes, want %d", number, step.since, tr.chunk, step.want)
		}
	}
	if short := newTransmission(SenderOptions{Chunk: 1000}, func() {}); short.chunk != 1000 {
		t.Errorf("chunks of 1000 bytes have %d", short.chunk)
	}
}

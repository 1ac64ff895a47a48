package transfer

import (
	"testing"
	"time"
)

// A question about a file does not wait for a disk that stands still, nor do
// those that come after it; when the disk is back there is an answer.
func TestQuestionsDoNotWaitForTheDisk(t *testing.T) {
	b := newBench(t)
	token := [16]byte{7}
	b.receiver.Admit(token, "bob", b.dir)
	f := b.source("bob", 1, 100)
	s := b.receiver.session(token)
	s.mu.Lock() // as who waits for the disk holds it
	for range 100 {
		if a := b.receiver.AskWithin(time.Millisecond, token, f); a.Verified || a.Refused != "" || len(a.Missing) > 0 {
			t.Fatalf("answer %+v while the disk stands still", a)
		}
	}
	s.mu.Unlock()
	for end := time.Now().Add(wait); ; {
		a := b.receiver.AskWithin(wait, token, f)
		if len(a.Missing) == 1 && a.Missing[0].Length == 100 {
			break
		}
		if a.Refused != "" || time.Now().After(end) {
			t.Fatalf("answer %+v when the disk is back", a)
		}
	}
	if a := b.receiver.AskWithin(wait, [16]byte{8}, f); a.Refused == "" {
		t.Errorf("a stranger is answered %+v", a)
	}
}

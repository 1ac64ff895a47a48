package transfer

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestSettledReceiver: once it has settled, what stands under its name is verified, and
// nothing comes to stand there any more, whatever is asked.
func TestSettledReceiver(t *testing.T) {
	for round := range 20 {
		b := newBench(t)
		token := [16]byte{1}
		b.receiver.Admit(admission(token, "alice", b.dir))
		files := []File{b.source("alice", 1, 0), b.source("alice", 2, 3<<20), b.source("alice", 3, 40<<10)}
		s := NewSender(SenderOptions{Addr: b.receiver.Addr().String(), Token: token, Chunk: 64 << 10, Ask: func(_ context.Context, f File) (Answer, error) {
			a := b.receiver.Ask(token, f)
			if f.ID == 2 && round%2 == 0 || f.ID == 3 && round%2 == 1 {
				return a, errors.New("over")
			}
			return a, nil
		}})
		_ = send(t, s, files...)
		b.receiver.Settle()
		for again := range 2 {
			for _, f := range files {
				_, err := os.Stat(filepath.Join(b.dir, f.Name))
				if verified := b.receiver.Verified(token, f); verified != (err == nil) {
					t.Fatalf("round %d: %s: verified: %v, and it is there: %v", round, f.Name, verified, err)
				}
				if again == 0 {
					b.receiver.Ask(token, f)
				}
			}
		}
	}
}

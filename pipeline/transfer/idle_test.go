package transfer

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// Between two files of a long segment nothing moves, which is no standstill.
func TestSenderWaitsForFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSender(SenderOptions{Chunk: 1, Ask: func(context.Context, File) (Answer, error) { return Answer{Verified: true}, nil }})
		ended := make(chan error, 1)
		go func() { ended <- s.Run(t.Context()) }()
		for id := range uint32(3) {
			time.Sleep(patience + time.Second)
			s.Queue(File{ID: id, Name: "raw/bob/a.bin"})
		}
		time.Sleep(24 * time.Hour)
		s.Finish()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

package sdk

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/sdk/tag"
	"tsrun/sdk/zmtp"
)

// countingSink counts the tags it is given.
type countingSink struct{ tags int }

func (s *countingSink) Begin(context.Context, Recording) error { return nil }
func (s *countingSink) Write(_ context.Context, b *tag.Block) error {
	s.tags += len(b.Tags)
	return nil
}
func (s *countingSink) Finish(context.Context) error { return nil }
func (s *countingSink) Close() error                 { return nil }

var _ Sink = (*countingSink)(nil)

// TestSinkRefusesBadTags: the core passes tags on unread, so a sink is never
// given any that were damaged on their way or were in disorder from the start.
func TestSinkRefusesBadTags(t *testing.T) {
	for name, test := range map[string]struct {
		tags  []uint64
		spoil func(payload []byte)
		says  string
	}{
		"damaged":  {[]uint64{30, 40, 50}, func(p []byte) { p[1] ^= 1 }, "the header says 30 to 50 ps"},
		"disorder": {[]uint64{30, 50, 40, 60}, func([]byte) {}, "tag 2 at 40 ps is before its predecessor at 50 ps"},
	} {
		t.Run(name, func(t *testing.T) {
			listener, err := zmtp.Listen("unix", filepath.Join(t.TempDir(), "s"), zmq4.Push, zmtp.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			conn, err := zmtp.Dial(t.Context(), "unix", listener.Addr().String(), zmq4.Pull)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			core, err := listener.Accept(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer core.Close()

			good := tag.Block{Kind: tag.Data, Tags: []uint64{10, 20}}
			bad := tag.Block{Kind: tag.Data, Seq: 1, Tags: test.tags}
			for _, b := range []tag.Block{good, bad} {
				var header [tag.HeaderSize]byte
				payload := tag.AppendTags(nil, b.Tags)
				b.EncodeHeader(header[:])
				if b.Seq == 1 {
					test.spoil(payload)
				}
				if err := core.Send(10*time.Second, header[:], payload); err != nil {
					t.Fatal(err)
				}
			}
			sink := &countingSink{}
			s := newSinkServer(t.Context(), slog.New(slog.DiscardHandler), nil)
			s.sink = sink
			err = s.writeAll(conn, Recording{Streams: []RecordedStream{{}}})
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want one with %q", err, test.says)
			}
			if sink.tags != len(good.Tags) {
				t.Errorf("the sink was given %d tags, want the %d of the good block", sink.tags, len(good.Tags))
			}
		})
	}
}

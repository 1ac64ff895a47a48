package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/sdk"
	"tsrun/sdk/tag"
	"tsrun/sdk/zmtp"
)

// collector is an output that keeps everything.
type collector struct {
	tags    []uint64
	lost    uint64
	reasons []string
	fail    error // of Send
}

func (c *collector) Send(_ uint16, tags []uint64) error {
	if !slices.IsSorted(tags) || len(c.tags) > 0 && tags[0] < c.tags[len(c.tags)-1] {
		return errors.New("tags out of order")
	}
	c.tags = append(c.tags, tags...)
	return c.fail
}

func (c *collector) Mark(uint16, uint64) error { return nil }

func (c *collector) Lost(_ uint16, n uint64, why string) {
	c.lost += n
	c.reasons = append(c.reasons, why)
}

// feed lets a service send messages, each of some frames, to a lane and
// returns the lane when its stream has ended. The plan is of one long record,
// begun long ago.
func feed(t *testing.T, out output, messages ...[][]byte) *lane {
	t.Helper()
	service, err := zmtp.Listen("tcp", "127.0.0.1:0", zmq4.Pair, zmtp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	l := newLane(sdk.Channel{Name: "signal", Input: 1}, "id")
	if l.conn, err = dialStream(t.Context(), service.Addr().String()); err != nil {
		t.Fatal(err)
	}
	l.ask = func(context.Context) (status, error) { return status{records: 2}, nil }
	began := time.Now().Add(-30 * time.Second)
	l.begin(plan{records: 2, period: 10e12, width: 10e12 - deadTime}, span{began, began.Add(ms)}, out)
	l.records.Store(2)
	go l.run(t.Context())
	conn, err := service.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, frames := range messages {
		if err := conn.Send(5*time.Second, frames...); err != nil {
			break // the lane has had enough
		}
	}
	if len(messages) > 0 && len(messages[len(messages)-1][0]) > 0 {
		conn.Close() // no end mark: it is cut
	}
	select {
	case <-l.done:
	case <-time.After(20 * time.Second):
		t.Fatal("the lane does not end")
	}
	return l
}

func frame(tags ...uint64) [][]byte { return [][]byte{tag.AppendTags(nil, tags)} }

var end = [][]byte{nil}

func TestLane(t *testing.T) {
	const period = uint64(10e12)
	tests := []struct {
		name     string
		messages [][][]byte
		want     []uint64
		lost     uint64
		ended    string // why the stream ended; empty: by its mark
	}{
		{"two records", [][][]byte{frame(1, 2, 3), frame(1, 5), end}, []uint64{1, 2, 3, period + 1, period + 5}, 0, ""},
		{"two records without an end mark", [][][]byte{frame(1, 2, 3), frame(1, 5)}, []uint64{1, 2, 3, period + 1, period + 5}, 0, "closed the stream"},
		{"disorder within a record", [][][]byte{frame(3, 1, 2, 2), frame(1), end}, []uint64{1, 2, 2, 3, period + 1}, 0, ""},
		{"rubbish behind the end", [][][]byte{frame(7, 1<<63, 1<<62), frame(1), end}, []uint64{7, period + 1}, 2, ""},
		{"a little behind the end", [][][]byte{frame(7, period+3), frame(1, 9), end}, []uint64{7, period + 3, period + 9}, 1, ""},
		{"a third record", [][][]byte{frame(3), frame(2), frame(1), end}, []uint64{3, period + 2}, 1, ""},
		{"bytes", [][][]byte{frame(3), frame(2), {[]byte("abc")}, end}, []uint64{3, period + 2}, 0, "3 bytes"},
		{"two frames", [][][]byte{frame(3), frame(2), {make([]byte, 8), make([]byte, 8)}, end}, []uint64{3, period + 2}, 0, "not one of tags"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out collector
			l := feed(t, &out, test.messages...)
			if l.err != nil {
				t.Error(l.err)
			}
			if !slices.Equal(out.tags, test.want) || out.lost != test.lost {
				t.Errorf("tags %v with %d lost (%q), want %v with %d", out.tags, out.lost, out.reasons, test.want, test.lost)
			}
			switch {
			case (l.ended == nil) != (test.ended == ""):
				t.Errorf("ended by %v, want %q", l.ended, test.ended)
			case l.ended != nil && !strings.Contains(l.ended.Error(), test.ended):
				t.Errorf("ended by %v, want %q", l.ended, test.ended)
			}
		})
	}
}

// TestLaneLargeMessage: a message larger than what is held at once is passed
// on in pieces, and what cannot be numbered at once is given up whole.
func TestLaneLargeMessage(t *testing.T) {
	large := make([]uint64, pieceTags+pieceTags/2)
	for i := range large {
		large[i] = uint64(i) * 1000
	}
	message := [][]byte{tag.AsBytes(large)}
	n := uint64(len(large))

	var out collector
	l := feed(t, &out, frame(5), message, end)
	if l.err != nil || l.ended != nil {
		t.Fatal(l.err, l.ended)
	}
	if got := uint64(len(out.tags)); got != n+1 || out.lost != 0 || out.tags[n] != 10e12+large[n-1] {
		t.Errorf("%d tags with %d lost (%q), want %d", got, out.lost, out.reasons, n+1)
	}

	out = collector{} // the first of two records may as well be the second
	if l = feed(t, &out, message, end); l.err != nil || l.ended != nil {
		t.Fatal(l.err, l.ended)
	}
	if len(out.tags) != 0 || out.lost != n || l.report.AmbiguousTags != n {
		t.Errorf("%d tags with %d lost (%q), want all %d lost", len(out.tags), out.lost, out.reasons, n)
	}
}

// TestLaneStopsWithTheCore: when nobody takes tags any more, the lane ends.
func TestLaneStopsWithTheCore(t *testing.T) {
	out := collector{fail: errors.New("the core is gone")}
	if l := feed(t, &out, frame(1, 2), frame(1), frame(1), end); l.err != out.fail {
		t.Errorf("error %v", l.err)
	}
}

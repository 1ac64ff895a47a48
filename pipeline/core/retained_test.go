package core_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/sdk/blockio"
	"tsrun/sdk/tag"
	"tsrun/sdk/zmtp"
)

const (
	few  = 4096 // tags in a block
	room = 31   // such blocks that fit in 1 MiB
)

// takes reads so many blocks of a sink that then dies, and returns their tags.
func takes(t *testing.T, endpoint string, blocks int) (tags []uint64) {
	t.Helper()
	conn := dial(t, endpoint, zmq4.Pull)
	defer conn.Close()
	in := blockio.NewReader(conn)
	for range blocks {
		m, err := in.Next()
		if err != nil {
			t.Fatal(err)
		}
		b := m.Block()
		tags = append(tags, b.Tags...)
	}
	return tags
}

func (n *node) resume(name string) string {
	n.t.Helper()
	endpoint, err := n.Resume(name)
	if err != nil {
		n.t.Fatal(err)
	}
	return endpoint
}

// TestSinkIsResumed: another process is sent each stream from what was acknowledged
// on, numbered from 0, without a gap and without one tag twice, however often the
// sink dies; another sink notices nothing.
func TestSinkIsResumed(t *testing.T) {
	n := newNode(t)
	in := n.inlet("alice.tc", 1, 2)
	raw, other := n.outlet("raw", 1, 2), n.outlet("other", 1, 2)
	n.Retain("raw")
	n.start()
	witness := newSink(t, other, 2)
	d := newDriver(t, in)
	for i := range uint64(10) {
		d.tags(1, i*100, i*100+50)
		d.tags(2, i*100+1)
	}
	takes(t, raw, 20)
	n.Acknowledge("raw", 1, 325) // in the middle of nothing
	n.Acknowledge("raw", 1, 100) // late
	n.Acknowledge("raw", 2, 301) // up to a tag
	n.Acknowledge("raw", 7, 301) // no stream of it
	second := n.resume("raw")
	if got := takes(t, second, 7); !slices.Equal(got, []uint64{350, 301, 400, 450, 401, 500, 550, 501, 600, 650}) {
		t.Errorf("the second process was sent %d", got)
	}
	n.Acknowledge("raw", 1, 420) // between two tags of a block
	third := newSink(t, n.resume("raw"), 2)
	d.tags(1, 1000)
	d.end(1, 2000)
	d.end(2, 2000)
	third.wait(t)
	witness.wait(t)
	if err := n.wait(); err != nil {
		t.Fatal(err)
	}
	want := map[uint16][]uint64{1: {450, 500, 550, 600, 650, 700, 750, 800, 850, 900, 950, 1000}, 2: {301, 401, 501, 601, 701, 801, 901}}
	for id, tags := range want {
		if !slices.Equal(third.tags[id], tags) {
			t.Errorf("stream %d: %d, want %d", id, third.tags[id], tags)
		}
		if third.last[id].Until != 2000 {
			t.Errorf("stream %d ends at %d", id, third.last[id].Until)
		}
	}
	if len(witness.tags[1]) != 21 || len(witness.tags[2]) != 10 {
		t.Errorf("the other sink was sent %d", witness.tags)
	}
}

// TestSinkIsAwayForAWhile: what comes before another process does is sent to it,
// also when the streams have ended meanwhile.
func TestSinkIsAwayForAWhile(t *testing.T) {
	n := newNode(t)
	in, raw := n.inlet("alice.tc", 1), n.outlet("raw", 1)
	n.Retain("raw")
	n.start()
	d := newDriver(t, in)
	d.tags(1, 5)
	takes(t, raw, 1)
	endpoint := n.resume("raw")
	d.tags(1, 6)
	d.end(1, 10)
	s := newSink(t, endpoint, 1)
	s.wait(t)
	if err := n.wait(); err != nil || !slices.Equal(s.tags[1], []uint64{5, 6}) {
		t.Errorf("%d, %v", s.tags[1], err)
	}
}

// TestNobodyGoesOn: a sink that is given up, or of which more was not acknowledged
// than is kept, fails alone, and what waited goes on.
func TestNobodyGoesOn(t *testing.T) {
	t.Run("given up", func(t *testing.T) {
		n := newNode(t)
		in, raw := n.inlet("alice.tc", 1), n.outlet("raw", 1)
		n.Retain("raw")
		n.start()
		d := newDriver(t, in)
		d.tags(1, 5)
		takes(t, raw, 1)
		n.resume("raw")
		n.GiveUp("raw", errors.New("it does not start"))
		d.end(1, 10)
		if err := n.wait(); err == nil || !strings.Contains(err.Error(), "it does not start") {
			t.Error(err)
		}
		if _, err := n.Resume("raw"); err == nil {
			t.Error("it was resumed after its end")
		}
	})
	t.Run("too much", func(t *testing.T) {
		n := newNode(t)
		n.Retained = 1 << 20
		in, raw := n.inlet("alice.tc", 1), n.outlet("raw", 1)
		n.Retain("raw")
		n.start()
		d := newDriver(t, in)
		conn := dial(t, raw, zmq4.Pull)
		reader := blockio.NewReader(conn)
		tags := make([]uint64, few)
		next := uint64(0)
		send := func(blocks int) {
			t.Helper()
			for range blocks {
				for i := range tags {
					tags[i] = next
					next++
				}
				d.send(tag.Block{Kind: tag.Data, Stream: 1, Tags: tags, Until: next})
				if _, err := reader.Next(); err != nil {
					t.Fatal(err)
				}
			}
		}
		send(room / 2)
		n.Acknowledge("raw", 1, next)
		send(room) // all of it fits
		conn.Close()
		conn = dial(t, n.resume("raw"), zmq4.Pull)
		reader = blockio.NewReader(conn)
		for range room {
			if _, err := reader.Next(); err != nil {
				t.Fatal(err)
			}
		}
		send(2)
		if _, err := n.Resume("raw"); err == nil || !strings.Contains(err.Error(), "1024 KiB") {
			t.Error(err)
		}
		d.end(1, next)
		if err := n.wait(); err == nil || !strings.Contains(err.Error(), "1024 KiB") {
			t.Error(err)
		}
	})
	t.Run("nothing was kept", func(t *testing.T) {
		n := newNode(t)
		n.inlet("alice.tc", 1)
		n.outlet("raw", 1)
		n.start()
		if _, err := n.Resume("raw"); err == nil {
			t.Error("it was resumed")
		}
		if _, err := n.Resume("nobody"); err == nil {
			t.Error("nobody was resumed")
		}
	})
}

// TestDriverWaitsForASinkThatIsAway: memory is bounded, and back-pressure too.
func TestDriverWaitsForASinkThatIsAway(t *testing.T) {
	n := newNode(t)
	in, raw := n.inlet("alice.tc", 1), n.outlet("raw", 1)
	n.Retained = 1 << 20
	n.Retain("raw")
	n.start()
	d := newDriver(t, in)
	d.tags(1, 0)
	takes(t, raw, 1)
	endpoint := n.resume("raw")
	const blocks = 10 * room // the sockets take some
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		tags := make([]uint64, few)
		for b := range uint64(blocks) {
			for i := range tags {
				tags[i] = b*few + uint64(i)
			}
			d.send(tag.Block{Kind: tag.Data, Stream: 1, Tags: tags, Until: tags[few-1]})
		}
		d.end(1, blocks*few)
	}()
	select {
	case <-sent:
		t.Error("the driver did not wait")
	case <-time.After(300 * time.Millisecond):
	}
	s := newSink(t, endpoint, 1)
	s.wait(t)
	<-sent
	if err := n.wait(); err != nil || len(s.tags[1]) != blocks*few+1 {
		t.Errorf("%d tags, want %d; %v", len(s.tags[1]), blocks*few+1, err)
	}
}

// TestResumedAtTheEnd: a sink that dies as the last block comes is resumed, and sent all
// that it had not acknowledged, or is told that the recording is over.
func TestResumedAtTheEnd(t *testing.T) {
	for i := range 40 {
		n := newNode(t)
		in, raw := n.inlet("alice.tc", 1), n.outlet("raw", 1)
		n.Retain("raw")
		n.start()
		d := newDriver(t, in)
		d.tags(1, 5)
		conn := dial(t, raw, zmq4.Pull)
		ended := make(chan error, 1)
		go func() {
			d.end(1, 10)
			ended <- n.wait()
		}()
		time.Sleep(time.Duration(i) * 20 * time.Microsecond)
		endpoint, err := n.Resume("raw")
		conn.Close()
		if err == nil {
			if next, err := zmtp.Dial(t.Context(), "unix", strings.TrimPrefix(endpoint, "ipc://"), zmq4.Pull); err == nil {
				blocks := blockio.NewReader(next)
				for err == nil {
					_, err = blocks.Next()
				}
				next.Close()
			}
		} else if !strings.Contains(err.Error(), "the recording is over") {
			t.Error(err)
		}
		<-ended // with or without an error: the sink left early
	}
}

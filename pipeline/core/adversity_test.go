package core_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/pipeline/core"
	"tsrun/sdk/tag"
	"tsrun/sdk/zmtp"
)

func TestSlowSinkFailsAloneAndLoudly(t *testing.T) {
	n := newNode(t)
	n.Patience = 3 * time.Second
	in, slow, good := n.inlet("alice.tc", 1), n.outlet("slow", 1), n.outlet("good", 1)
	n.start()
	dial(t, slow, zmq4.Pull) // and never reads
	s := newSink(t, good, 1)
	d := newDriver(t, in)
	block := make([]uint64, 8192) // so few that the good one takes them within its patience on a busy PC
	const blocks = 320            // 20 MiB: more than sockets hold
	for range blocks {
		d.tags(1, block...)
	}
	d.end(1, 1)
	var fault *core.Fault
	if err := n.wait(); !errors.As(err, &fault) || !fault.Sink || fault.Name != "slow" {
		t.Errorf("the core says %v, want a fault of the slow sink", err)
	}
	s.wait(t)
	if len(s.tags[1]) != blocks*len(block) {
		t.Errorf("the good sink has %d tags, want %d", len(s.tags[1]), blocks*len(block))
	}
}

func TestSinkThatNeverComesFails(t *testing.T) {
	n := newNode(t)
	n.Patience = 100 * time.Millisecond
	in := n.inlet("alice.tc", 1)
	n.outlet("absent", 1)
	n.start()
	d := newDriver(t, in)
	d.end(1, 5)
	var fault *core.Fault
	if err := n.wait(); !errors.As(err, &fault) || fault.Name != "absent" {
		t.Errorf("the core says %v", err)
	}
}

// TestBackPressureReachesTheDriver: a sink that pauses stops the driver; then
// everything arrives.
func TestBackPressureReachesTheDriver(t *testing.T) {
	n := newNode(t)
	in, out := n.inlet("alice.tc", 1), n.outlet("sink", 1)
	n.start()
	conn := dial(t, out, zmq4.Pull)
	d := newDriver(t, in)
	block := make([]uint64, tag.MaxBlockTags)
	var header [tag.HeaderSize]byte
	sent := uint64(0)
	for ; ; sent++ { // until the driver is stopped
		if sent > 1000 {
			t.Fatal("a gigabyte went nowhere")
		}
		b := tag.Block{Kind: tag.Data, Run: run, Stream: 1, Seq: sent, Tags: block}
		b.EncodeHeader(header[:])
		if err := d.conn.Send(300*time.Millisecond, header[:], tag.AsBytes(block)); err != nil {
			break // the connection is closed in the middle of a block
		}
	}
	s := &sink{frames: map[uint16][][]byte{}, tags: map[uint16][]uint64{}, last: map[uint16]tag.Block{}, done: make(chan struct{}), streams: 1}
	go s.collect(conn)
	s.wait(t)
	if got := uint64(len(s.tags[1])); got != sent*tag.MaxBlockTags {
		t.Errorf("%d tags arrived, %d were taken from the driver", got, sent*tag.MaxBlockTags)
	}
	if err := n.wait(); err == nil || !strings.Contains(err.Error(), "middle of a block") {
		t.Errorf("the core says %v", err)
	}
}

func TestAbandonEndsTheStreamsOfADriver(t *testing.T) {
	for _, connected := range []bool{false, true} {
		n := newNode(t)
		in, out := n.inlet("alice.tc", 1, 2), n.outlet("sink", 1, 2)
		n.start()
		s := newSink(t, out, 2)
		if connected {
			newDriver(t, in).tags(2, 7, 8) // and then hangs
		}
		n.Abandon(1)
		n.Abandon(1)
		n.Abandon(77) // nobody's
		var fault *core.Fault
		if err := n.wait(); !errors.As(err, &fault) || fault.Name != "alice.tc" {
			t.Errorf("connected %v: the core says %v", connected, err)
		}
		s.wait(t)
		if s.last[1].Kind != tag.End || s.last[2].Kind != tag.End {
			t.Errorf("connected %v: the sink has %+v", connected, s.last)
		}
		if connected && !slices.Equal(s.tags[2], []uint64{7, 8}) {
			t.Errorf("tags %v were left behind", s.tags[2])
		}
	}
}

// TestSlowSinkGetsWhatADeadDriverLeft: it lies in the socket, and waits there for longer than
// anybody waits for a driver that is gone.
func TestSlowSinkGetsWhatADeadDriverLeft(t *testing.T) {
	n := newNode(t)
	n.Patience = time.Minute
	in, out := n.inlet("alice.tc", 1), n.outlet("sink", 1)
	n.start()
	conn := dial(t, out, zmq4.Pull)
	d := newDriver(t, in)
	block := make([]uint64, 8192)
	var sent atomic.Int64
	stopped := make(chan struct{})
	go func() { // until sockets hold no more
		defer close(stopped)
		var header [tag.HeaderSize]byte
		for {
			b := tag.Block{Kind: tag.Data, Run: run, Stream: 1, Seq: uint64(sent.Load()), Tags: block}
			b.EncodeHeader(header[:])
			if d.conn.Send(time.Minute, header[:], tag.AsBytes(block)) != nil {
				return
			}
			sent.Add(1)
		}
	}()
	for before := int64(-1); before != sent.Load(); time.Sleep(300 * time.Millisecond) {
		before = sent.Load()
	}
	d.conn.Close()
	<-stopped
	n.Abandon(1)
	time.Sleep(2500 * time.Millisecond)
	s := &sink{frames: map[uint16][][]byte{}, tags: map[uint16][]uint64{}, last: map[uint16]tag.Block{}, done: make(chan struct{}), streams: 1}
	go s.collect(conn)
	s.wait(t)
	if got, want := len(s.tags[1]), int(sent.Load())*len(block); got < want {
		t.Errorf("%d tags arrived of %d that the driver has sent", got, want)
	}
	if n.wait() == nil {
		t.Error("the core says nothing of a driver that left")
	}
}

func TestCancelledCoreEnds(t *testing.T) {
	n := newNode(t)
	in, out := n.inlet("alice.tc", 1), n.outlet("sink", 1)
	n.start()
	s := newSink(t, out, 1)
	newDriver(t, in).tags(1, 3)
	n.stop()
	if err := n.wait(); !errors.Is(err, context.Canceled) {
		t.Errorf("the core says %v", err)
	}
	<-s.done
	if s.err == nil {
		t.Error("the sink was told that its streams ended whole")
	}
}

func TestOnlyOneDriverGetsIn(t *testing.T) {
	n := newNode(t)
	in := n.inlet("alice.tc", 1)
	n.start()
	d := newDriver(t, in)
	d.tags(1, 1)
	if conn, err := zmtp.Dial(t.Context(), "unix", strings.TrimPrefix(in, "ipc://"), zmq4.Push); err == nil {
		defer conn.Close()
		if _, _, err := conn.ReadFrame(make([]byte, 8)); err != io.EOF && err == nil {
			t.Error("a second driver was let in")
		}
	}
	d.end(1, 2)
	if err := n.wait(); err != nil {
		t.Error(err)
	}
}

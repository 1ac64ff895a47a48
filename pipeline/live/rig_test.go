package live

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"
	"go.uber.org/goleak"

	"tsrun/internal/need"
	"tsrun/pipeline/align"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
	"tsrun/pipeline/stage"
	"tsrun/pipeline/track"
	"tsrun/sdk/quantity"
	"tsrun/sdk/tagfile"
	"tsrun/sdk/zmtp"
)

const wait = 60 * time.Second // longer than any test needs, so that speed decides nothing

func TestMain(m *testing.M) {
	need.OwnFiles()
	goleak.VerifyTestMain(m)
}

// rig is a stream of a run of alice and bob, whose segments take 1 us.
type rig struct {
	*Stream
	t      *testing.T
	dir    string
	warned chan string
}

const length = uint64(quantity.Microsecond)

func newRig(t *testing.T, config recipe.LiveConfig, aligned bool, more ...func(*recipe.Recipe)) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), warned: make(chan string, 100)}
	config.Address = "ipc://" + filepath.Join(t.TempDir(), "s")
	if config.Queue == 0 {
		config.Queue = 64
	}
	sink := recipe.Live{Name: "live", Config: config}
	var err error
	if r.Stream, err = Listen(sink); err != nil {
		t.Fatal(err)
	}
	node := func(name string, channels ...string) recipe.Node {
		n := recipe.Node{Name: name}
		for _, c := range channels {
			n.Channels = append(n.Channels, recipe.Channel{Name: c, Controller: "tc"})
		}
		return n
	}
	whole := &recipe.Recipe{Nodes: []recipe.Node{node("alice", "a", "b"), node("bob", "c")}, Live: []recipe.Live{sink}}
	whole.Acquire.Segment = quantity.Time(length)
	if aligned {
		whole.Stages = []recipe.Stage{runtest.Stage("align", "align", stage.AlignConfig{Reference: "alice.a", Target: "bob.c"})}
	}
	for _, change := range more {
		change(whole)
	}
	err = r.Start(Begin{Dir: r.dir, Run: "cafe", Simulated: true, Recipe: whole, Warn: func(message, _ string) { r.warned <- message }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(0) })
	return r
}

// segment offers a segment of a channel with these tags.
func (r *rig) segment(node, channel string, index int, tags ...uint64) {
	r.t.Helper()
	name := fmt.Sprintf("%s-%s-%d.bin", node, channel, index)
	if err := tagfile.WriteFile(filepath.Join(r.dir, name), tagfile.Bin, 1, tags); err != nil {
		r.t.Fatal(err)
	}
	r.Offer(Segment{Segment: run.Segment{Node: node, Channel: channel, Segment: fact.Segment{Sink: "raw", Index: index, File: name, Tags: uint64(len(tags))}}, Nth: index})
}

// followed says that bob's clock was followed through a segment, with these values.
func (r *rig) followed(index int, state align.State, values ...align.Value) {
	r.Follow(Followed{Stage: "align", Reference: "alice.a", Target: "bob.c", Next: index + 1, Values: values, State: state})
}

func value(at uint64, offset int64, ppb float64) align.Value {
	return align.Value{State: align.Tracking, Knot: track.Knot{Time: at, Offset: quantity.Fine{Whole: offset}, OffsetSD: 2, Frequency: ppb, Pairs: 10}}
}

// heard is a message as a subscriber has it.
type heard struct {
	Header
	times    []int64
	channels []uint16
}

// subscriber is one of a rig.
type listener struct {
	t    *testing.T
	conn *zmtp.Conn
}

func (r *rig) subscribe(topic string) *listener {
	r.t.Helper()
	_, path, _ := r.sink.Config.Network()
	ctx, cancel := context.WithTimeout(r.t.Context(), wait)
	defer cancel()
	conn, err := zmtp.Dial(ctx, "unix", path, zmq4.Sub)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	if err := conn.Send(wait, append([]byte{1}, topic...)); err != nil {
		r.t.Fatal(err)
	}
	r.eventually("the subscription is heard", func() bool {
		r.publisher.mu.Lock()
		defer r.publisher.mu.Unlock()
		n := 0
		for s := range r.publisher.subscribers {
			if s.topics[topic] > 0 {
				n++
			}
		}
		return n > 0
	})
	return &listener{r.t, conn}
}

func (r *rig) eventually(what string, is func() bool) {
	r.t.Helper()
	for late := time.Now().Add(wait); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			r.t.Fatalf("never: %s", what)
		}
	}
}

// next reads one message.
func (l *listener) next() (m heard) {
	l.t.Helper()
	if err := l.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		l.t.Fatal(err)
	}
	var frames [][]byte
	for more := true; more; {
		buf := make([]byte, 1<<20)
		var frame []byte
		var err error
		if frame, more, err = l.conn.ReadFrame(buf); err != nil {
			l.t.Fatal(err)
		}
		frames = append(frames, frame)
	}
	if string(frames[0]) != "live" {
		l.t.Fatalf("topic %q", frames[0])
	}
	if err := json.Unmarshal(frames[1], &m.Header); err != nil {
		l.t.Fatal(err)
	}
	if m.Kind != KindTags {
		if len(frames) != 2 {
			l.t.Fatalf("%d frames of %s", len(frames), m.Kind)
		}
		return m
	}
	if len(frames) != 4 || len(frames[2]) != 8*m.Tags || len(frames[3]) != 2*m.Tags {
		l.t.Fatalf("%d frames, of %d tags", len(frames), m.Tags)
	}
	for i := range m.Tags {
		m.times = append(m.times, int64(binary.LittleEndian.Uint64(frames[2][8*i:])))
		m.channels = append(m.channels, binary.LittleEndian.Uint16(frames[3][2*i:]))
	}
	return m
}

// all reads up to the last message.
func (l *listener) all() (all []heard) {
	l.t.Helper()
	for {
		all = append(all, l.next())
		if all[len(all)-1].Kind == KindEnd {
			return all
		}
	}
}

func remove(t *testing.T, r *rig, file string) {
	t.Helper()
	if err := os.Remove(filepath.Join(r.dir, file)); err != nil {
		t.Fatal(err)
	}
}

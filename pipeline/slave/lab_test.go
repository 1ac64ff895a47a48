package slave

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tsrun/pipeline/datagram"
	"tsrun/pipeline/event"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/transfer"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
	"tsrun/sdk/tag"
)

const wait = 2 * time.Minute // longer than any test needs, so that speed decides nothing

const labRecipe = `version: 1
name: lab
network: {ports: {trigger: 0, status: 0, files: 0}}
nodes:
  bob:
    controllers: {tc: {driver: tc-test, config: {mode: "%s"}}}
    channels: {b: {on: tc/1, threshold: 100 mV}}
trigger: {master: bob}
acquire: {duration: 1 s}
sinks: {raw: {sink: sink-test, config: {mode: "%s"}}}
%s`

// lab is a master of one node, bob, whose slave is tested.
type lab struct {
	t        *testing.T
	run      tag.RunID
	token    [16]byte
	recipe   *recipe.Recipe
	status   *wire.StatusServer
	trigger  *wire.Publisher
	receiver *transfer.Receiver
	dir      string // the master's run directory
	data     string // the slave's
	plugins  string

	// give decides what order follows from where the node stands. 0: none.
	give      func(wire.Phase) wire.OrderKind
	onFailure wire.OrderKind // what follows from a failure outside of the recording
	onTags    wire.OrderKind // what follows when tags have been recorded
	// refuse is told the slave in place of an answer to a report.
	refuse func(wire.Phase) *sdk.Failure

	// The user of the slave interrupts so often in a phase; in that of the
	// recording, when tags have been recorded.
	interruptAt    wire.Phase
	interruptTimes int
	interrupts     chan struct{}
	access         *datagram.Access // to the master's time
	silentAt       wire.Phase       // in this phase the master falls silent, once the user has interrupted
	speaks         chan struct{}    // closed: it does again
	// releaseOn is a line of the slave's log: with it, files are done with, and
	// then the slave is released.
	releaseOn string

	mu         sync.Mutex
	hold       bool   // no file is done with
	refuses    string // why no file is taken
	master     string // which it says it is
	offered    string // the one that was offered everything, as the slave says
	carriedOut uint64 // the last order, as the slave says
	order      wire.Order
	fired      int64         // the instant
	way        time.Duration // of the order to the slave
	ahead      time.Duration // of it, beside 100 ms
	recalls    bool          // the start is called off when the slave says that it is late
	strange    []wire.Order  // published beside beacons
	phase      wire.Phase
	phases     []wire.Phase
	news       []wire.News
	joins      []wire.Reply // answers to the first joins
	onJoin     func(*wire.Join) wire.Reply
}

// straight gives the orders of a good run.
func straight(p wire.Phase) wire.OrderKind {
	return map[wire.Phase]wire.OrderKind{wire.Ready: wire.Arm, wire.Armed: wire.Fire, wire.Done: wire.Release}[p]
}

// newLab opens a master's ports. driver and sink are the modes of the plugins,
// more are further lines of the recipe.
func newLab(t *testing.T, driver, sink, more string) *lab {
	t.Helper()
	l := &lab{t: t, run: tag.RunID{1}, token: [16]byte{2}, dir: t.TempDir(), data: t.TempDir(), plugins: t.TempDir(), give: straight, interrupts: make(chan struct{}, 2), speaks: make(chan struct{})}
	resolved, err := recipe.Parse("lab.yaml", fmt.Appendf(nil, labRecipe, driver, sink, more), recipe.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l.recipe = resolved.Recipe
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tc-test", "sink-test", "sink-anew"} {
		if err := os.Symlink(self, filepath.Join(l.plugins, name)); err != nil {
			t.Fatal(err)
		}
	}
	if l.receiver, err = transfer.NewReceiver("127.0.0.1:0", wire.Guard{}, nil); err != nil {
		t.Fatal(err)
	}
	l.receiver.Admit(transfer.Admission{Token: l.token, Node: "bob", Dir: l.dir,
		Plan: transfer.Plan{Places: []transfer.Place{{Folder: "raw/bob", Files: 1000}}, Bytes: 1 << 40}})
	if l.trigger, err = wire.ListenTrigger(t.Context(), "127.0.0.1:0", wire.Guard{}); err != nil {
		t.Fatal(err)
	}
	if l.status, err = wire.ListenStatus(t.Context(), "127.0.0.1:0", wire.Guard{}, l.serve); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var working sync.WaitGroup
	working.Go(func() { l.receiver.Run(ctx) })
	working.Go(func() {
		for ctx.Err() == nil {
			l.trigger.Publish(wire.Order{Kind: wire.Beacon, Run: l.run})
			for _, o := range l.published() {
				l.trigger.Publish(o)
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
	t.Cleanup(func() {
		l.speak()
		l.status.Close()
		cancel()
		working.Wait()
		l.trigger.Close()
		l.receiver.Close()
	})
	return l
}

// published are the orders of nobody.
func (l *lab) published() []wire.Order {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.strange
}

func port(a net.Addr) int {
	_, p, _ := net.SplitHostPort(a.String())
	n, _ := strconv.Atoi(p)
	return n
}

func (l *lab) welcome() *wire.Welcome {
	part, err := json.Marshal(l.recipe.ForNode("bob"))
	if err != nil {
		panic(err)
	}
	return &wire.Welcome{Run: l.run.String(), Token: hex.EncodeToString(l.token[:]), Recipe: part,
		TriggerPort: port(l.trigger.Addr()), FilesPort: port(l.receiver.Addr()), Clock: l.access, Master: l.master}
}

func (l *lab) serve(_ wire.Peer, body []byte) []byte {
	var r wire.Request
	if err := json.Unmarshal(body, &r); err != nil {
		panic(err)
	}
	l.mu.Lock()
	silent, speaks := l.silentAt != "" && l.phase == l.silentAt && l.interruptTimes == 0, l.speaks
	l.mu.Unlock()
	if silent {
		<-speaks
	}
	var reply wire.Reply
	switch {
	case r.Join != nil:
		reply = l.join(r.Join)
	case r.File != nil:
		var f transfer.File
		if err := json.Unmarshal(r.File, &f); err != nil {
			panic(err)
		}
		var a transfer.Answer // neither verified nor missing: it is being looked at
		l.mu.Lock()
		hold, refuses := l.hold, l.refuses
		l.mu.Unlock()
		if a.Refused = refuses; !hold && refuses == "" {
			a = l.receiver.Ask(l.token, f)
		}
		reply.File, _ = json.Marshal(a)
	default:
		reply = l.report(r.Report)
	}
	answer, err := json.Marshal(reply)
	if err != nil {
		panic(err)
	}
	return answer
}

// speak ends the silence of the master.
func (l *lab) speak() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.silentAt = ""; l.speaks != nil {
		close(l.speaks)
		l.speaks = nil
	}
}

func (l *lab) join(j *wire.Join) wire.Reply {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.onJoin != nil {
		return l.onJoin(j)
	}
	if len(l.joins) > 0 {
		reply := l.joins[0]
		l.joins = l.joins[1:]
		return reply
	}
	return wire.Reply{Welcome: l.welcome()}
}

func (l *lab) report(r *wire.Report) wire.Reply {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range r.News {
		if n.Seq == uint64(len(l.news))+1 {
			l.news = append(l.news, n)
		}
	}
	reply := wire.Reply{Seen: uint64(len(l.news)), Master: l.master}
	if r.Phase == wire.Ready && !r.Beacon {
		return reply
	}
	l.carriedOut, l.offered = r.Order, r.Offered
	if r.Phase != l.phase {
		l.phase = r.Phase
		l.phases = append(l.phases, r.Phase)
		l.decide(l.give(r.Phase))
	}
	if l.phase != wire.Running && slices.ContainsFunc(r.News, func(n wire.News) bool { return n.Failure != nil }) {
		l.decide(l.onFailure)
	}
	tags := slices.ContainsFunc(r.Progress, func(p fact.StreamCounts) bool { return p.Tags > 0 })
	if tags {
		l.decide(l.onTags)
		l.onTags = 0
	}
	if l.interruptAt == r.Phase && (tags || r.Phase != wire.Running) {
		for range l.interruptTimes {
			l.interrupts <- struct{}{}
		}
		l.interruptTimes = 0
	}
	if l.recalls && slices.ContainsFunc(r.News, func(n wire.News) bool { return n.Short != nil }) {
		l.decide(wire.Abort)
		l.recalls = false
	}
	if l.releaseOn != "" && slices.ContainsFunc(l.news, func(n wire.News) bool { return strings.Contains(string(n.Log), l.releaseOn) }) {
		l.hold = false
		if r.Phase == wire.Done {
			l.decide(wire.Release)
			l.releaseOn = ""
		}
	}
	if l.refuse != nil {
		reply.Refused = l.refuse(r.Phase)
	}
	if l.order.Seq > 0 {
		order := l.order
		reply.Order = &order
	}
	return reply
}

// decide makes the next order.
func (l *lab) decide(kind wire.OrderKind) {
	if kind == 0 {
		return
	}
	now := time.Now()
	l.order = wire.Order{Kind: kind, Seq: l.order.Seq + 1, Run: l.run, Sent: now.UnixNano()}
	if kind == wire.Fire {
		l.order.Sent -= l.way.Nanoseconds()
		l.order.Instant = now.Add(100*time.Millisecond + l.ahead).UnixNano()
		l.fired = l.order.Instant
	}
}

func (l *lab) options() Options {
	return Options{Node: "bob", Master: l.status.Addr().String(), Once: true, Data: l.data, PluginDirs: []string{l.plugins},
		Version: "test", Interrupts: l.interrupts, Log: slog.New(slog.DiscardHandler)}
}

// takePart runs a slave to its end.
func (l *lab) takePart(o Options) error {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), wait)
	defer cancel()
	err := Run(ctx, o)
	if ctx.Err() != nil {
		_, phases := l.heard()
		l.t.Fatalf("the slave is still there, after the phases %s: %v", phases, err)
	}
	return err
}

// heard is what the master was told until now. The answer to a report may come too
// late for a slave that has ended meanwhile.
func (l *lab) heard() (news []wire.News, phases []wire.Phase) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.news), slices.Clone(l.phases)
}

// failures are the codes of what the master was told of.
func (l *lab) failures() (codes []string) {
	news, _ := l.heard()
	for _, n := range news {
		if n.Failure != nil {
			codes = append(codes, n.Failure.Code)
		}
	}
	return codes
}

// segments are what the master was told of, each of which must be there, whole.
func (l *lab) segments() (tags uint64) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.news {
		if n.Segment == nil || l.hold {
			continue
		}
		content, err := os.ReadFile(filepath.Join(l.dir, n.Segment.File))
		if sum := sha256.Sum256(content); err != nil || hex.EncodeToString(sum[:]) != n.Segment.SHA256 {
			l.t.Errorf("%s: %d bytes, %v", n.Segment.File, len(content), err)
		}
		tags += n.Segment.Tags
	}
	return tags
}

// kept are the files that are left at the slave.
func (l *lab) kept() (files []string) {
	l.t.Helper()
	err := filepath.WalkDir(l.data, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != ledgerFile {
			files = append(files, filepath.Base(path))
		}
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return files
}

// observed keeps the events of a slave.
type observed struct {
	mu     sync.Mutex
	events []event.Event
}

func (o *observed) Observe(e event.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events = append(o.events, e)
}

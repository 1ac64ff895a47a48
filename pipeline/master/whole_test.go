package master

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"tsrun/pipeline/event"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/transfer"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
	"tsrun/sdk/tag"
)

// player plays the node alice over the real ports: it follows the orders, tells
// its facts when it has fired, and sends one file.
type player struct {
	t       *testing.T
	status  *wire.StatusClient
	address string
	welcome *wire.Welcome
	report  wire.Report
	facts   []wire.News // told after the fire
	file    transfer.File
	fired   bool
	records bool               // until it is told to stop
	running func()             // called each time the master knows that it records
	atOnce  int                // how many facts it tells in one message
	refused func(*sdk.Failure) // why a report was refused, which then is no mistake; nil: it is
}

// newsAtOnce is how many facts a player tells in one message.
const newsAtOnce = 1000

func (p *player) ask(r wire.Request) wire.Reply {
	p.t.Helper()
	r.Node = "alice"
	if p.welcome != nil {
		r.Token = p.welcome.Token
	}
	body, err := json.Marshal(r)
	if err != nil {
		p.t.Error(err)
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), 20*time.Second)
	defer cancel()
	var reply wire.Reply
	if body, err = p.status.Call(ctx, body); err == nil {
		err = json.Unmarshal(body, &reply)
	}
	if err == nil && reply.Refused != nil && p.refused != nil {
		p.refused(reply.Refused)
	} else if err != nil || reply.Refused != nil {
		p.t.Errorf("reply %+v, %v", reply.Refused, err)
	}
	return reply
}

// play takes part until the master releases the node or gives up the run.
func (p *player) play() {
	p.welcome = p.ask(wire.Request{Join: &wire.Join{Protocol: wire.Protocol, Instance: "1", Host: "pc", PID: 7, Version: "1.0"}}).Welcome
	p.report = wire.Report{Phase: wire.Ready, Beacon: true}
	sent := make(chan error, 1)
	for p.welcome != nil && !p.t.Failed() {
		p.report.ClockNs = time.Now().UnixNano()
		reply := p.ask(wire.Request{Report: &p.report})
		if reply.Refused != nil {
			return
		}
		if p.fired {
			p.report.News = p.facts[min(int(reply.Seen), len(p.facts)):min(int(reply.Seen)+cmp.Or(p.atOnce, newsAtOnce), len(p.facts))]
		}
		if p.fired && reply.Seen == uint64(len(p.facts)) && p.report.Phase == wire.Draining {
			p.report.Phase = wire.Transferring
			go func() { sent <- p.send() }()
		}
		if p.report.Phase == wire.Running {
			p.running()
		}
		if o := reply.Order; o != nil && o.Seq > p.report.Order {
			p.report.Order = o.Seq
			switch o.Kind {
			case wire.Arm:
				p.report.Phase = wire.Armed
			case wire.Fire:
				p.report.Phase, p.fired = wire.Draining, true
				p.report.Progress = []fact.StreamCounts{{Counts: fact.Counts{Tags: 5, Lost: 3, First: 1, Last: 9, Until: 1e12}}}
				if p.records {
					p.report.Phase = wire.Running
				}
			case wire.Stop:
				p.report.Phase = wire.Draining
			case wire.Abort, wire.Release:
				p.ask(wire.Request{Report: &p.report})
				return
			}
		}
		select {
		case err := <-sent:
			if err != nil {
				p.t.Error(err)
			}
			p.report.Phase = wire.Done
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (p *player) send() error {
	token, _ := wire.ParseID(p.welcome.Token)
	questions := wire.NewStatusClient(p.address, nil)
	defer questions.Close()
	s := transfer.NewSender(transfer.SenderOptions{Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(p.welcome.FilesPort)), Token: token,
		Ask: func(ctx context.Context, f transfer.File) (a transfer.Answer, err error) {
			question, _ := json.Marshal(f)
			body, _ := json.Marshal(wire.Request{Node: "alice", Token: p.welcome.Token, File: question})
			if body, err = questions.Call(ctx, body); err == nil {
				var reply wire.Reply
				if err = json.Unmarshal(body, &reply); err == nil {
					err = json.Unmarshal(reply.File, &a)
				}
			}
			return a, err
		}})
	s.Queue(p.file)
	s.Finish()
	return s.Run(p.t.Context())
}

// conducted is a run of which alice is the only node, another PC's, and how it
// ended.
func conducted(t *testing.T, interrupts chan struct{}, play func(*player)) (*run.Manifest, string) {
	t.Helper()
	return conductedBy(t, func(c *conductor) { c.options.Interrupts = interrupts }, play)
}

// loneRecipe has one node, another PC's.
func loneRecipe(t *testing.T) *recipe.Resolved {
	t.Helper()
	resolved, err := recipe.Parse("whole.yaml", []byte(`version: 1
name: whole
network: {ports: {trigger: 0, status: 0, files: 0}}
nodes:
  alice:
    controllers: {tc: {driver: tc-elsewhere, config: {}}}
    channels: {a: {on: tc/1, threshold: 100 mV}}
trigger: {master: alice, lead: 100 ms}
acquire: {duration: 1 s}
sinks: {raw: {sink: sink-elsewhere}}
`), recipe.Options{})
	if err != nil {
		t.Fatal(err)
	}
	resolved.Recipe.Nodes[0].Host = "remote" // which a recipe says of other addresses only
	return resolved
}

// conductedBy is such a run of a conductor that is prepared in some way.
func conductedBy(t *testing.T, prepare func(*conductor), play func(*player)) (*run.Manifest, string) {
	t.Helper()
	c := newConductor(Options{Recipe: loneRecipe(t), Runs: t.TempDir(), Observer: event.NewHub()})
	if err := c.listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer c.stopListening()
	if err := c.openDirectory(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer c.dir.Close()
	prepare(c)
	file, tags := filepath.Join(t.TempDir(), "a"), tag.AppendTags(nil, []uint64{1, 3, 5, 7, 9})
	if err := os.WriteFile(file, tags, 0o644); err != nil {
		t.Fatal(err)
	}
	p := &player{t: t, address: c.status.Addr().String(), file: transfer.File{ID: 1, Name: "raw/alice/a-000000.bin", Path: file, Size: 40, SHA256: sha256.Sum256(tags)}}
	p.status = wire.NewStatusClient(p.address, nil)
	defer p.status.Close()
	p.facts = []wire.News{
		{Controller: &wire.ControllerUp{Name: "tc", Plugin: fact.Plugin{Version: "2", SHA256: "ab", PID: 8}, Device: fact.Device{Model: "x", ResolutionPs: 4, MaxRateHz: 1e9}}},
		{Sink: &wire.SinkUp{Name: "raw", Plugin: fact.Plugin{Version: "3", SHA256: "cd", PID: 9}, Keeps: sdk.AllTags}},
		{Shot: &wire.ShotFired{Controller: "tc", Shot: fact.Shot{Asked: 1e9, Called: 3e9, Returned: 3e9 + 5, Late: true}}},
		{Loss: &fact.StreamLoss{Loss: fact.Loss{AtPs: 4, Tags: 3, Why: "overflow"}}},
		{Segment: &wire.Segment{Number: 1, Segment: fact.Segment{Sink: "raw", Kind: sdk.Tags, File: p.file.Name, Size: 40, SHA256: p.file.SHA256.String(), Tags: 5, FirstPs: 1, LastPs: 9, Lost: 3}}},
		{Kept: &wire.Kept{Sink: "raw", Kept: fact.Kept{Tags: 2}}},
		{Ended: &wire.Ended{Controller: "tc", Report: json.RawMessage(`{"said":1}`), Sent: []fact.StreamCounts{{Counts: fact.Counts{Tags: 6, Lost: 2}}}}},
		{Log: json.RawMessage(`{"msg":"done"}`)},
	}
	for i := range p.facts {
		p.facts[i].Seq = uint64(i + 1)
	}
	played := make(chan bool)
	go func() {
		defer close(played)
		play(p)
	}()
	outcome, err := c.conduct(t.Context())
	<-played
	if err != nil {
		t.Fatal(err)
	}
	return outcome.Manifest, outcome.Directory
}

// TestFactsReachTheManifest: each fact that a node tells is kept as it was told,
// and judged; the manifest on the disk has the keys that it always had.
func TestFactsReachTheManifest(t *testing.T) {
	m, dir := conducted(t, nil, (*player).play)
	alice := m.Nodes["alice"]
	if alice.Receiver == nil || alice.Receiver.Confined == (alice.Receiver.Unconfined != "") {
		t.Errorf("whether what writes its files is confined: %+v", alice.Receiver)
	}
	sent, lost := uint64(6), uint64(2)
	start, _ := run.NodeStart([]fact.Shot{{Asked: 1e9, Called: 3e9, Returned: 3e9 + 5, Late: true}}, m.Trigger.InstantNs, 0, nil)
	if alice.Joined.Before(m.Started.Add(-time.Second)) || alice.Armed.Before(alice.Joined) || m.Ended.Before(alice.Armed.Add(-time.Second)) {
		t.Errorf("joined %v, armed %v, in a run from %v to %v", alice.Joined, alice.Armed, m.Started, m.Ended)
	}
	want := &run.Node{Host: "remote", Hostname: "pc", PID: 7, Version: "1.0", Start: &start, Receiver: alice.Receiver, Joined: alice.Joined, Armed: alice.Armed,
		Controllers: map[string]*run.Controller{"tc": {Driver: "tc-elsewhere", Plugin: fact.Plugin{Version: "2", SHA256: "ab", PID: 8},
			Device: fact.Device{Model: "x", ResolutionPs: 4, MaxRateHz: 1e9}, Report: json.RawMessage(`{"said":1}`),
			Shot: &fact.Shot{Asked: 1e9, Called: 3e9, Returned: 3e9 + 5, Late: true}}},
		Sinks: map[string]*run.Sink{"raw": {Sink: "sink-elsewhere", Plugin: fact.Plugin{Version: "3", SHA256: "cd", PID: 9}, Channels: []string{"a"},
			Keeps: sdk.AllTags, Kept: map[string]uint64{"a": 2}}},
		Channels: map[string]*run.Channel{"a": {Controller: "tc", Input: 1, Tags: 5, Sent: &sent, SentLost: &lost, FirstPs: 1, LastPs: 9, LengthPs: 1e12,
			Rate: new(run.Rate(5000)), Lost: 3, Losses: []fact.Loss{{AtPs: 4, Tags: 3, Why: "overflow"}}}}}
	if diff := gocmp.Diff(want, alice); diff != "" {
		t.Errorf("node (-want +got):\n%s", diff)
	}
	content, err := os.ReadFile(filepath.Join(dir, "raw/alice/a-000000.bin"))
	sum := sha256.Sum256(content)
	if len(m.Segments) != 1 || m.Segments[0].ProvenAt.Before(alice.Armed) {
		t.Fatalf("a file was proven before its node was armed at %v: %+v", alice.Armed, m.Segments)
	}
	segment := run.Segment{Node: "alice", Channel: "a", Verified: true, ProvenAt: m.Segments[0].ProvenAt, Segment: fact.Segment{Sink: "raw", File: "raw/alice/a-000000.bin", Size: 40,
		SHA256: hex.EncodeToString(sum[:]), Tags: 5, FirstPs: 1, LastPs: 9, Lost: 3}}
	if diff := gocmp.Diff([]run.Segment{segment}, m.Segments); diff != "" || err != nil {
		t.Errorf("segments, %v (-want +got):\n%s", err, diff)
	}
	if diff := gocmp.Diff([]run.Condition{run.Unverified, run.Incomplete, run.Tainted}, m.Condition); diff != "" {
		t.Errorf("condition (-want +got):\n%s\n%+v", diff, m.Reasons)
	}
	again, err := run.ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	again.Nodes["alice"].Controllers["tc"].Report = alice.Controllers["tc"].Report // it is indented there
	if diff := gocmp.Diff(m.Nodes, again.Nodes); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}

// TestInterruptEndsARun: the first one ends the recording and keeps everything.
func TestInterruptEndsARun(t *testing.T) {
	interrupts := make(chan struct{}, 1)
	m, _ := conducted(t, interrupts, func(p *player) {
		p.records = true
		p.running = sync.OnceFunc(func() { interrupts <- struct{}{} })
		p.play()
	})
	if !m.Has(run.Interrupted) || len(m.Segments) != 1 || !m.Segments[0].Verified {
		t.Errorf("condition %v, segments %+v", m.Condition, m.Segments)
	}
}

// TestNodeAnnouncesMoreThanIsPlanned: files that are in no plan, of impossible sizes,
// or too many enter neither manifest nor journal, end no recording and cost no memory.
// The node's own file is taken, and the reason is in the manifest.
func TestNodeAnnouncesMoreThanIsPlanned(t *testing.T) {
	const many = 20_000
	m, dir := conducted(t, nil, func(p *player) {
		good := p.facts
		p.facts = nil
		add := func(file string, size int64) {
			p.facts = append(p.facts, wire.News{Segment: &wire.Segment{Number: uint32(len(p.facts) + 10), Segment: fact.Segment{
				Sink: "raw", Kind: sdk.Tags, File: file, Size: size, SHA256: p.file.SHA256.String(), Tags: 1 << 63}}})
		}
		for _, name := range []string{"raw/bob/a-000000.bin", "manifest.json", "../x", "/etc/passwd", "raw/alice/../../x", ""} {
			add(name, 1)
		}
		for i, size := range []int64{-1, 1 << 43, 1 << 53, 1<<63 - 1, 1<<63 - 1} {
			add(fmt.Sprintf("raw/alice/large-%d", i), size)
		}
		p.facts = append(p.facts, good...)
		for i := range many {
			add(fmt.Sprintf("raw/alice/many-%d", i), 0)
		}
		for i := range p.facts {
			p.facts[i].Seq = uint64(i + 1)
		}
		p.play()
	})
	if m.Has(run.Aborted) || len(m.Segments) == 0 {
		t.Fatalf("the run ended %v: %+v", m.Condition, m.Reasons)
	}
	for i, s := range m.Segments {
		if s.Verified != (s.File == "raw/alice/a-000000.bin") || s.Size != 0 && !s.Verified {
			t.Errorf("segment %d is %+v", i, s)
		}
	}
	if planned := moreFiles + 14; len(m.Segments) != planned { // of one channel and twelve seconds at most, and others
		t.Errorf("%d segments, the plan has room for %d", len(m.Segments), planned)
	}
	told := slices.IndexFunc(m.Reasons, func(r run.Reason) bool {
		return r.Condition == run.Incomplete && r.Node == "alice" && strings.Contains(r.Message, "not in the plan of this run")
	})
	if told < 0 {
		t.Errorf("no reason says it: %+v", m.Reasons)
	}
	if entries, err := os.ReadDir(filepath.Join(dir, "raw", "alice")); err != nil || len(entries) != 1 {
		t.Errorf("%d files are there, %v", len(entries), err)
	}
}

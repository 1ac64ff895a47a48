package master

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"tsrun/pipeline/event"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const joinRecipe = `version: 1
name: join
network: {ports: {trigger: 0, status: 0, files: 0}}
nodes:
  alice:
    controllers: {tc: {driver: tc-ethernet, config: {address: 127.0.0.1}}}
    channels: {a: {on: tc/1, threshold: 100 mV}}
  bob:
    controllers: {tc: {driver: tc-ethernet, config: {address: 127.0.0.1}}}
    channels: {b: {on: tc/1, threshold: 100 mV}}
trigger: {master: alice}
acquire: {duration: 1 s}
sinks: {raw: {sink: sink-file}}
`

func parsedJoinRecipe(t *testing.T) *recipe.Resolved {
	t.Helper()
	resolved, err := recipe.Parse("join.yaml", []byte(joinRecipe), recipe.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return resolved
}

// listening is a conductor whose loop has not begun.
func listening(t *testing.T, changes ...func(*recipe.Recipe)) *conductor {
	t.Helper()
	resolved := parsedJoinRecipe(t)
	for _, change := range changes {
		change(resolved.Recipe)
	}
	c := newConductor(Options{Recipe: resolved, Runs: t.TempDir(), Observer: event.NewHub()})
	if err := c.listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.stopListening)
	if err := c.openDirectory(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.dir.Close() })
	c.state, _ = newState(c.names(), c.rules())
	return c
}

// joins asks for a place as one slave process.
func joins(t *testing.T, c *conductor, name, instance string, protocol int) wire.Reply {
	t.Helper()
	return c.join(t.Context(), request{body: wire.Request{Node: name,
		Join: &wire.Join{Protocol: protocol, Instance: instance, Host: "pc", Key: c.key}}})
}

func TestJoin(t *testing.T) {
	c := listening(t)
	first := joins(t, c, "alice", "1", wire.Protocol)
	if first.Welcome == nil || first.Welcome.Run != c.run.String() || first.Welcome.FilesPort == 0 || first.Welcome.TriggerPort == 0 {
		t.Fatalf("welcome %+v", first)
	}
	if again := joins(t, c, "alice", "1", wire.Protocol); again.Welcome == nil || again.Welcome.Token != first.Welcome.Token {
		t.Error("a repeated join got another answer")
	}
	for code, reply := range map[string]wire.Reply{
		"unknown-node": joins(t, c, "carol", "3", wire.Protocol),
		"protocol":     joins(t, c, "bob", "4", wire.Protocol+1),
	} {
		if reply.Refused == nil || reply.Refused.Code != code || reply.Refused.Hint == "" {
			t.Errorf("%s: reply %+v", code, reply)
		}
	}
	if f := c.state.lateness([]string{"bob"}); f.Code != "node-absent" || !strings.Contains(f.Message, `; a slave "bob" on pc`) || !strings.Contains(f.Message, "speaks protocol") || !strings.Contains(f.Hint, "same release") {
		t.Errorf("of a node whose slave was refused is said: %+v", f)
	}
	if r := c.join(t.Context(), request{body: wire.Request{Node: "bob", Join: &wire.Join{Protocol: wire.Protocol, Instance: "9", Host: "pc"}}}); r.Refused == nil || r.Refused.Code != "name-local" {
		t.Errorf("a stranger as a node of this PC: %+v, want refused", r)
	}
	c.state.phase = running
	if late := joins(t, c, "bob", "5", wire.Protocol); late.Wait == "" {
		t.Errorf("a slave that comes during a run: %+v, want to wait", late)
	}
	if back := joins(t, c, "alice", "1", wire.Protocol); back.Wait == "" {
		t.Errorf("a slave that is back for the next run: %+v, want to wait", back)
	}
}

// TestSlaveThatIsStartedAnew has a place again as soon as nothing is heard of the
// process before it, where the run has not begun to record.
func TestSlaveThatIsStartedAnew(t *testing.T) {
	later := func(c *conductor, d time.Duration) { // shifts what was, because tests do not wait
		m := c.members["bob"]
		m.heard, m.asked = m.heard.Add(-d), m.asked.Add(-d)
	}
	place := func(r wire.Reply) string {
		switch {
		case r.Welcome != nil:
			return "welcome"
		case r.Refused != nil:
			return r.Refused.Code
		}
		return r.Wait
	}
	const taken, under, without = "a slave named bob has joined already (on pc), and has its place until nothing is heard of it for 5s", "a run is under way",
		"a run is under way without this process; what the one before it recorded is kept in its data directory"
	for _, test := range []struct {
		name     string
		phase    phase
		at, then string // at once, and when the one before has been silent for long
		gone     bool
	}{
		{"joining", joining, taken, "welcome", false},
		{"arming", arming, taken, "welcome", false},
		{"armed", armed, taken, under, false},
		{"running", running, under, without, true},
		{"transferring", transferring, under, without, true},
	} {
		c := listening(t)
		first := joins(t, c, "bob", "1", wire.Protocol)
		c.state.phase = test.phase
		if got := place(joins(t, c, "bob", "2", wire.Protocol)); got != test.at {
			t.Errorf("%s: at once: %q, want %q", test.name, got, test.at)
		}
		later(c, wire.AwayAfter)
		second := joins(t, c, "bob", "2", wire.Protocol)
		if got := place(second); got != test.then || c.state.nodes["bob"].gone != test.gone {
			t.Errorf("%s: then: %q, gone: %v, want %q, %v", test.name, got, c.state.nodes["bob"].gone, test.then, test.gone)
		}
		if test.then != "welcome" {
			continue
		}
		if reply := c.answer(t.Context(), request{body: wire.Request{Node: "bob", Token: first.Welcome.Token, Report: &wire.Report{}}}); reply.Refused == nil {
			t.Errorf("%s: the process before it is believed", test.name)
		}
		if reply := c.answer(t.Context(), request{body: wire.Request{Node: "bob", Token: second.Welcome.Token, Report: &wire.Report{}}}); reply.Refused != nil {
			t.Errorf("%s: the new process: %+v", test.name, reply.Refused)
		}
	}

	two := listening(t)
	joins(t, two, "bob", "1", wire.Protocol)
	if got := place(joins(t, two, "bob", "2", wire.Protocol)); got != taken {
		t.Errorf("a second slave: %q", got)
	}
	later(two, wire.AwayAfter+time.Second)
	two.members["bob"].heard = time.Now()
	if got := place(joins(t, two, "bob", "2", wire.Protocol)); got != "name-taken" {
		t.Errorf("a second slave, while the first is heard: %q", got)
	}
	if got := place(joins(t, two, "bob", "3", wire.Protocol)); got != taken {
		t.Errorf("a third slave: %q", got)
	}
}

func TestReportsNeedTheTokenAndComeTwice(t *testing.T) {
	c := listening(t)
	token := joins(t, c, "alice", "1", wire.Protocol).Welcome.Token
	report := wire.Report{Phase: wire.Ready, News: []wire.News{
		{Seq: 1, Loss: &fact.StreamLoss{Loss: fact.Loss{Tags: 3, Why: "test"}}},
		{Seq: 3, Loss: &fact.StreamLoss{Loss: fact.Loss{Tags: 5, Why: "out of order"}}},
	}}
	for _, wrong := range []wire.Request{
		{Node: "alice", Token: "x", Report: &report}, {Node: "bob", Token: token, Report: &report}, {Node: "alice", Token: token},
	} {
		if reply := c.answer(t.Context(), request{body: wrong}); reply.Refused == nil {
			t.Errorf("%+v was believed", wrong)
		}
	}
	for range 2 { // a request may arrive twice
		reply := c.answer(t.Context(), request{body: wire.Request{Node: "alice", Token: token, Report: &report}})
		if reply.Refused != nil || reply.Seen != 1 {
			t.Errorf("reply %+v, want news 1 seen", reply)
		}
	}
	if losses := c.book.manifest.Nodes["alice"].Channels["a"].Losses; len(losses) != 1 {
		t.Errorf("losses %v, want the first news once and the third not before the second", losses)
	}
	if p := c.state.nodes["alice"].phase; p != wire.Preparing {
		t.Errorf("phase %s: ready without having heard the trigger port", p)
	}
	report.Beacon = true
	c.answer(t.Context(), request{body: wire.Request{Node: "alice", Token: token, Report: &report}})
	if p := c.state.nodes["alice"].phase; p != wire.Ready {
		t.Errorf("phase %s, want ready", p)
	}
}

// TestNewsWaitForTheStages: while they have the manifest, nothing is entered,
// nothing is lost, and the log goes on.
func TestNewsWaitForTheStages(t *testing.T) {
	c := listening(t)
	token := joins(t, c, "alice", "1", wire.Protocol).Welcome.Token
	report := wire.Report{Phase: wire.Done, News: []wire.News{
		{Seq: 1, Log: []byte(`{"msg":"late"}`)},
		{Seq: 2, Segment: &wire.Segment{Number: 1, Segment: fact.Segment{Sink: "raw", File: "raw/alice/a-000000.bin"}}},
		{Seq: 3, Loss: &fact.StreamLoss{Loss: fact.Loss{Tags: 3, Why: "late"}}},
		{Seq: 4, Failure: &sdk.Failure{Message: "late"}},
	}}
	answered := func() uint64 {
		t.Helper()
		reply := c.answer(t.Context(), request{body: wire.Request{Node: "alice", Token: token, Report: &report}})
		if reply.Refused != nil {
			t.Fatal(reply.Refused)
		}
		return reply.Seen
	}
	m := c.book.manifest
	c.state.phase, c.analysis = analysing, analysis{done: make(chan error), cancel: func() {}}
	for range 2 {
		if seen := answered(); seen != 1 || len(m.Segments) > 0 || len(m.Nodes["alice"].Channels["a"].Losses) > 0 {
			t.Errorf("%d news taken while the stages are at work: %+v", seen, m.Segments)
		}
	}
	c.state.phase, c.analysis.done = done, nil
	if seen := answered(); seen != 4 || len(m.Segments) != 1 || len(m.Nodes["alice"].Channels["a"].Losses) != 1 {
		t.Errorf("%d news taken afterwards: %+v", seen, m.Segments)
	}
	c.saver.wait()
}

// answering answers requests, as the conductor's loop does, until end is called.
func answering(t *testing.T, c *conductor) (end func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan bool)
	go func() {
		defer close(ended)
		for {
			select {
			case r := <-c.requests:
				r.answer <- c.answer(ctx, r)
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// A disk that takes its time over one node's file delays no heartbeat and no
// other node's file.
func TestSlowDiskDelaysNoHeartbeat(t *testing.T) {
	c := listening(t)
	defer answering(t, c)()
	tokens := map[string]string{}
	for _, node := range []string{"alice", "bob"} {
		tokens[node] = joins(t, c, node, node, wire.Protocol).Welcome.Token
	}
	stuck := filepath.Join(c.dir.Path(), "raw", "alice", "a-000000.bin")
	if err := unix.Mkfifo(stuck, 0o600); err != nil { // to open it takes until somebody writes to it
		t.Fatal(err)
	}
	ask := func(r wire.Request) (reply wire.Reply, err error) {
		client := wire.NewStatusClient(c.status.Addr().String(), nil)
		defer client.Close()
		body, err := json.Marshal(r)
		if err != nil {
			return reply, err
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		answer, err := client.Call(ctx, body)
		if err != nil {
			return reply, err
		}
		return reply, json.Unmarshal(answer, &reply)
	}
	file := func(node string) wire.Request {
		return wire.Request{Node: node, Token: tokens[node],
			File: fmt.Appendf(nil, `{"id":1,"name":"raw/%s/%c-000000.bin","size":9,"sha256":"%064d"}`, node, node[0], 0)}
	}
	slow := make(chan wire.Reply, 1)
	go func() {
		reply, err := ask(file("alice"))
		if err != nil {
			t.Error(err)
		}
		slow <- reply
	}()
	for range 3 {
		for _, node := range []string{"alice", "bob"} {
			if reply, err := ask(wire.Request{Node: node, Token: tokens[node], Report: &wire.Report{Phase: wire.Preparing}}); err != nil || reply.Refused != nil {
				t.Fatalf("heartbeat of %s: %+v, %v", node, reply, err)
			}
		}
	}
	if reply, err := ask(file("bob")); err != nil || !strings.Contains(string(reply.File), `"missing":[{"offset":0,"length":9}]`) {
		t.Fatalf("the other node's file: %s, %v", reply.File, err)
	}
	select {
	case reply := <-slow:
		t.Fatalf("the disk was not slow: %s", reply.File)
	default:
	}
	for late := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) { // the question may still be on its way
		if f, err := os.OpenFile(stuck, os.O_WRONLY|unix.O_NONBLOCK, 0); err == nil {
			f.Close()
			break
		}
		if time.Now().After(late) {
			t.Fatal("nobody opened the file")
		}
	}
	if reply := <-slow; !strings.Contains(string(reply.File), "something else of this name") {
		t.Fatalf("the answer when the disk is back: %s", reply.File)
	}
}

// A stranger is not heard at length: what he says might take far more memory
// when it is decoded.
func TestStrangersAreBrief(t *testing.T) {
	c := listening(t)
	defer answering(t, c)()
	token := joins(t, c, "alice", "1", wire.Protocol).Welcome.Token
	long := strings.Repeat(`{"seq":9},`, wire.MaxStranger/8) + `{"seq":9}`
	for text, refused := range map[string]bool{
		`{"node":"alice","token":"` + token + `","report":{"phase":"preparing","news":[` + long + `]}}`:                   false,
		`{"node":"alice","report":{"phase":"preparing","news":[` + long + `]}}`:                                           true,
		`{"node":"alice","token":"` + strings.Repeat("0", 32) + `","report":{"phase":"preparing","news":[` + long + `]}}`: true,
		`{"node":"` + strings.Repeat("x", wire.MaxStranger) + `","join":{}}`:                                              true,
		strings.Repeat("[", wire.MaxStranger+1):                                                                           true,
	} {
		var reply wire.Reply
		if err := json.Unmarshal(c.serve(wire.Peer{Address: "peer"}, []byte(text)), &reply); err != nil {
			t.Fatal(err)
		}
		if got := reply.Refused != nil && reply.Refused.Code == "token"; got != refused {
			t.Errorf("%.80s: refused is %v", text, got)
		}
	}
}

// FuzzStatus sends the status port what no slave sends.
func FuzzStatus(f *testing.F) {
	for _, body := range []string{
		`{"node":"x","token":"` + strings.Repeat("0", 34) + `","file":{}}`, `{"node":"alice","token":"","file":{"id":1,"name":"raw/alice/x","size":9}}`,
		`{"node":"alice","report":{"phase":"ready"}}`, `{"node":"bob","join":{"protocol":2,"instance":"\u0000"}}`, `{"file":null}`, `[]`, `null`, `{"join":{}}`,
		`{"node":"alice","token":"TOKEN","report":{"phase":"?","order":18446744073709551615,"news":[{"seq":1,"segment":{"name":"../x","stream":65535,"index":-1}}]}}`,
		`{"node":"alice","token":"TOKEN","report":{"phase":"running","progress":[{"stream":9,"tags":1,"until_ps":18446744073709551615}],"news":[{"seq":1,"failure":{}},{"seq":2,"loss":{"stream":7}}]}}`,
		`{"node":"alice","token":"TOKEN","file":{"id":1,"name":"raw/alice/x","size":-1}}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c := listening(t)
		token := joins(t, c, "alice", "1", wire.Protocol).Welcome.Token
		body = bytes.ReplaceAll(body, []byte("TOKEN"), []byte(token))
		end := answering(t, c)
		var reply wire.Reply
		if err := json.Unmarshal(c.serve(wire.Peer{Address: "peer"}, body), &reply); err != nil {
			t.Errorf("the answer cannot be read: %v", err)
		}
		end()
		c.book.counted()
		c.saver.wait()
		if err := c.dir.WriteManifest(c.book.manifest); err != nil {
			t.Errorf("after that no manifest can be written: %v", err)
		}
	})
}

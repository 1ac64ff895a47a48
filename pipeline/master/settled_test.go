package master

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/run"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

// takenOver is a conductor that finishes a run of which bob has told of one file, in the
// transfer, and bob's session.
func takenOver(t *testing.T) (c *conductor, report func(wire.Report) wire.Reply) {
	t.Helper()
	c = listening(t)
	token := [16]byte{7}
	c.past = &past{phase: transferring, fire: &wire.Order{Kind: wire.Fire, Seq: 2}, nodes: map[string]stands{}, seen: map[string]uint64{},
		joined: map[string]joined{"bob": {Node: "bob", Token: hex.EncodeToString(token[:])}}}
	c.readmit()
	c.state, _ = resumedState(c.names(), c.isLocal, c.rules(), c.past, time.Now())
	c.book.segment("bob", &wire.Segment{Number: 1, Segment: fact.Segment{Sink: "raw", Kind: sdk.Tags, File: "raw/bob/b-000000.bin", Size: 8, SHA256: strings.Repeat("ab", 32), Tags: 1}})
	return c, func(r wire.Report) wire.Reply {
		r.Beacon = true
		return c.answer(t.Context(), request{body: wire.Request{Node: "bob", Token: hex.EncodeToString(token[:]), Report: &r}})
	}
}

// TestDoneWithThisMaster: a node whose files are not here is waited for as long as it may
// still offer them to this master, and no longer: then they are missing, and it is told why.
func TestDoneWithThisMaster(t *testing.T) {
	refused := wire.News{Seq: 1, Failure: &sdk.Failure{Code: wire.NotSent, Message: "send raw/bob/b-000000.bin: the master refused it: full"}}
	for name, c := range map[string]struct {
		news    []wire.News
		offered func(c *conductor) string
		is      wire.Phase
		trouble string
	}{
		"what it knows of the master before": {[]wire.News{refused}, func(*conductor) string { return "before" }, wire.Transferring, ""},
		"it does not say whom it offered":    {[]wire.News{refused}, func(*conductor) string { return "" }, wire.Transferring, ""},
		"refused by this one":                {[]wire.News{refused}, func(c *conductor) string { return c.id }, wire.Done, "full"},
		"it does not say why":                {nil, func(c *conductor) string { return c.id }, wire.Done, "did not come"},
	} {
		con, report := takenOver(t)
		reply := report(wire.Report{Phase: wire.Transferring})
		if reply.Master != con.id || reply.Master == "" {
			t.Errorf("%s: the answer is of %q", name, reply.Master)
		}
		for range 2 {
			if reply := report(wire.Report{Phase: wire.Done, News: c.news, Offered: c.offered(con)}); reply.Refused != nil {
				t.Fatalf("%s: %+v", name, reply.Refused)
			}
		}
		if is := con.state.nodes["bob"].phase; is != c.is {
			t.Errorf("%s: it is %s", name, is)
		}
		switch got := con.state.troubles; {
		case c.trouble == "" && len(got) != 0, c.trouble != "" && (len(got) != 1 || got[0].kind != missing || got[0].node != "bob" || got[0].failure.Code != wire.NotSent || !strings.Contains(got[0].failure.Message, c.trouble)):
			t.Errorf("%s: troubles %+v", name, got)
		}
		if c.trouble != "" && !con.state.troubles[0].mayBeMadeGood() {
			t.Errorf("%s: nobody resumes that", name)
		}
	}
}

// TestSessionsAreKnownBeforeTheyAsk: slaves look for a master that resumes the run all the
// time, so their tokens are known when the port for questions opens.
func TestSessionsAreKnownBeforeTheyAsk(t *testing.T) {
	runs := t.TempDir()
	c := newConductor(Options{Recipe: parsedJoinRecipe(t), Runs: runs})
	dir, err := run.Create(runs, "lab", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	c.dir, c.book = dir, newBook(c, time.Now())
	c.past = &past{joined: map[string]joined{"bob": {Node: "bob", Token: hex.EncodeToString(make([]byte, 16))}}}
	if err := c.listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer c.stopListening()
	if node, ok := c.receiver.NodeOf([16]byte{}); !ok || node != "bob" || c.members["bob"] == nil {
		t.Errorf("the session is of %q, %v", node, ok)
	}
	if _, err := os.Stat(filepath.Join(dir.Path(), run.RawDir)); err != nil {
		t.Error(err)
	}
}

// TestFilesTravelSeveralTimes: what a node sent to several masters is added.
func TestFilesTravelSeveralTimes(t *testing.T) {
	c := listening(t)
	for _, bytes := range []int64{5, 7} {
		c.book.enter("bob", &wire.News{Sent: &fact.Sent{Compress: "auto", Bytes: bytes, Packed: 4, PackedTo: 2, LinkPerS: bytes}})
	}
	if got, want := *c.book.manifest.Nodes["bob"].Transfer, (fact.Sent{Compress: "auto", Bytes: 12, Packed: 8, PackedTo: 4, LinkPerS: 7}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

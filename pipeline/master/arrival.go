package master

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"tsrun/pipeline/event"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/text"
	"tsrun/pipeline/transfer"
	"tsrun/pipeline/wire"
)

// dirForm is the form of the name of a run directory.
var dirForm = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z-[a-z0-9][a-z0-9_-]{0,40}$`)

// maxWithheldWords is how much is shown of why a node does not give a recording, in bytes.
const maxWithheldWords = 500

// maxRecordings is how many recordings a node may offer in one session.
const maxRecordings = 1000

// recording answers what a slave says of one of its recordings. The same may be said twice.
func (c *collector) recording(peer wire.Peer, r wire.Request) wire.Reply {
	c.mu.Lock()
	defer c.mu.Unlock()
	g, said := c.guests[r.Node], r.Recording
	if g == nil || hex.EncodeToString(g.token[:]) != r.Token || !peer.MayBe(r.Node) {
		return unknown()
	}
	g.heard, c.active = time.Now(), time.Now()
	if said.Over {
		if !g.done {
			c.tellWithheld(r.Node, said.Withheld)
		}
		g.done = true
		c.finished(r.Node)
		return wire.Reply{Recording: &wire.RecordingAnswer{}}
	}
	if _, ok := wire.ParseID(said.Run); !ok || !dirForm.MatchString(said.Name) {
		return refuse("malformed", fmt.Sprintf("collect: %q is no recording of a node", cut(said.Name)), "")
	}
	a := g.records[said.Run]
	if a == nil {
		if len(g.records) >= maxRecordings {
			return refuse("too-many", fmt.Sprintf("collect: %d recordings were offered; the others are collected the next time", maxRecordings), "collect again")
		}
		a = c.arrive(r.Node, said)
		g.records[said.Run] = a
	}
	if said.Sent && !a.proving && a.answer.Token != "" && !a.answer.Taken && a.answer.Refused == "" {
		a.proving = true
		c.proving.Go(func() { c.settle(r.Node, a) })
	}
	answer := a.answer
	answer.Proving = a.proving
	return wire.Reply{Recording: &answer}
}

// tellWithheld tells the user what a node does not give.
func (c *collector) tellWithheld(node string, list []wire.Withheld) {
	for _, w := range list[:min(len(list), wire.MaxWithheld)] {
		c.options.Observer.Observe(event.Warning{Node: node, Message: fmt.Sprintf("the recording %s stays there: %s", cut(w.Name), text.Printable(w.Why[:min(len(w.Why), maxWithheldWords)]))})
	}
}

// arrive begins to take a recording, unless it is here. The caller holds c.mu.
func (c *collector) arrive(node string, said *wire.Recording) *arrival {
	a := &arrival{run: said.Run, name: said.Name, staging: filepath.Join(c.options.Runs, ".collecting-"+node+"-"+said.Run)}
	switch at, received := run.FindRecording(c.options.Runs, said.Run); {
	case received:
		a.answer.Taken = true
		return a
	case at != "":
		a.answer.Refused = fmt.Sprintf("it is in %s at the master already, and no copy of what a node sent; it is used there as it is", at)
		return a
	}
	if err := os.MkdirAll(a.staging, 0o777); err != nil {
		a.answer.Refused = fmt.Sprintf("make %s: %v", a.staging, err)
		return a
	}
	rand.Read(a.token[:]) // never fails
	c.receiver.Admit(transfer.Admission{Token: a.token, Node: node, Dir: a.staging, Plan: c.plans[node]})
	a.answer.Token = hex.EncodeToString(a.token[:])
	return a
}

// settle proves a recording of which all files are here, and gives it its place among
// the runs.
func (c *collector) settle(node string, a *arrival) {
	dir, err := c.prove(node, a)
	c.mu.Lock()
	defer c.mu.Unlock()
	a.proving, c.active = false, time.Now()
	if err != nil {
		a.answer = wire.RecordingAnswer{Refused: err.Error()}
		c.options.Observer.Observe(event.Problem{Node: node, Code: "not-collected", Message: fmt.Sprintf("the recording %s was not taken: %v", a.name, err),
			Hint: "the node keeps it; tsrun verify there says what it lacks; what came is in " + a.staging})
		return
	}
	a.answer = wire.RecordingAnswer{Taken: true}
	c.taken = append(c.taken, dir)
}

// harmless are findings about what was lost when it was recorded: nothing is wrong with
// the bytes that are here.
var harmless = []string{"missing", "tags", "extra"}

func (c *collector) prove(node string, a *arrival) (string, error) {
	at := filepath.Join(a.staging, run.RawDir, node)
	found, err := run.Verify(at)
	if err != nil {
		return "", err
	}
	m, err := run.ReadManifest(at)
	if err != nil {
		return "", err
	}
	for _, f := range found.Findings {
		if len(m.Condition) > 0 && run.IsGood(m.Condition) || !slices.Contains(harmless, f.Code) {
			return "", fmt.Errorf("%s: %s", f.File, f.Message)
		}
	}
	_, its := m.Nodes[node]
	switch {
	case m.Run != a.run || m.Local == nil || m.Local.Node != node || len(m.Nodes) != 1 || !its || m.Ended.IsZero():
		return "", errors.New("its manifest is not that of this recording")
	}
	if unlike := recipe.UnlikeMarks(m.Local.Marks, c.marks); len(unlike) > 0 {
		return "", fmt.Errorf("it was recorded with another recipe: what differs is %s", strings.Join(unlike, ", "))
	}
	if err := run.MarkReceived(at, node); err != nil {
		return "", err
	}
	dir := filepath.Join(c.options.Runs, a.name)
	for n := 2; ; n++ {
		if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
			break
		}
		dir = filepath.Join(c.options.Runs, fmt.Sprintf("%s-%d", a.name, n))
	}
	if err := os.Rename(at, dir); err != nil {
		return "", err
	}
	return dir, errors.Join(run.SyncDir(c.options.Runs), os.RemoveAll(a.staging))
}

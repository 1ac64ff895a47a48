package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"tsrun/pipeline/event"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/text"
	"tsrun/sdk/tagfile"
)

// Analyse executes the recipe's stages in order over the segments that are in
// the run directory, writes their files under results/, and enters what they
// found into the manifest. Raw files are only read.
//
// What an align stage finds corrects the clock of its target in all later
// stages. A stage that cannot be executed, and one whose clocks no align stage
// could connect, is skipped; like an align stage that finds nothing it makes
// the run TAINTED, with its reason. Then the recipe's expectations are judged.
//
// The error is for an analysis that did not come to its end: ctx ended, or
// results cannot be written.
func Analyse(ctx context.Context, dir string, r *recipe.Recipe, m *run.Manifest, o event.Observer) error {
	a := &analysis{ctx: ctx, dir: dir, recipe: r, manifest: m, clocks: newClocks(r.Trigger.Method == "hardware")}
	for _, s := range r.Stages {
		a.progress = new(stageProgress)
		stop := a.progress.watch(s.Name, s.Kind, o)
		result, err := a.stage(s)
		stop()
		if err != nil {
			return fmt.Errorf("stage %q: %w", s.Name, err)
		}
		m.Results = append(m.Results, result)
		o.Observe(event.StageDone{Result: result})
	}
	expectations(r.Expect, m)
	if m.Recorded() {
		m.Common = m.FindCommon(a.scaleOf)
	}
	return nil
}

type analysis struct {
	ctx      context.Context // of one call of Analyse
	dir      string
	recipe   *recipe.Recipe
	manifest *run.Manifest
	clocks   *clocks
	progress *stageProgress // nil: nobody wants to know
	over     *run.Common    // the time that the stage looks at; nil: all of the record
	look     Look           // how the pairs of channels that are aligned are looked at
}

// stage executes one stage. What is wrong with the tags or the stage becomes
// part of the result; the error ends the analysis.
func (a *analysis) stage(s recipe.Stage) (run.Result, error) {
	result := run.Result{Stage: s.Name, Kind: s.Kind, Files: []string{}}
	var summary any
	var err error
	k := kindOf(s.Kind)
	if k == nil {
		err = fmt.Errorf("there is no stage of the kind %q", s.Kind)
	} else if err = a.lookOverIn(s.Config); err == nil {
		result.Over = a.over
		summary, err = k.execute(a, s.Config, &result)
	}
	if err == nil {
		result.Summary, err = json.Marshal(summary)
	}
	var write *writeError
	switch {
	case a.ctx.Err() != nil:
		return result, context.Cause(a.ctx)
	case errors.As(err, &write):
		return result, err
	case err != nil:
		result.Skipped, result.Files = err.Error(), []string{}
		a.manifest.Notice(run.Reason{Condition: run.Tainted, Message: fmt.Sprintf("stage %q was skipped: %v", s.Name, err)})
	}
	return result, nil
}

// writeError says that a result could not be written, so that later ones will
// not be either.
type writeError struct{ err error }

func (e *writeError) Error() string { return "write results: " + e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }

// file writes one file of a result; its name is the stage's. An error of the
// disk is told from one of the tags that are read meanwhile.
func (a *analysis) file(result *run.Result, suffix string, write func(io.Writer) error) error {
	name := run.ResultsDir + "/" + run.PlainName(result.Stage) + suffix
	var of error // what was written for
	err := run.Atomically(filepath.Join(a.dir, filepath.FromSlash(name)), func(w io.Writer) error {
		disk := &watched{w: w}
		if of = write(disk); disk.err != nil {
			of = nil
			return disk.err
		}
		return of
	})
	switch {
	case of != nil:
		return of
	case err != nil:
		return &writeError{err}
	}
	result.Files = append(result.Files, name)
	return nil
}

// watched remembers the first error of the writer below it.
type watched struct {
	w   io.Writer
	err error
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	if err != nil && w.err == nil {
		w.err = err
	}
	return n, err
}

// clockOf names the clock a channel is stamped by: its controller's.
func (a *analysis) clockOf(name string) string {
	node, channel, _ := strings.Cut(name, ".")
	if c := a.channel(name); c != nil {
		return node + "." + c.Controller
	}
	return node + "." + channel
}

// channel is the manifest's entry of "alice.signal"; nil when there is none.
func (a *analysis) channel(name string) *run.Channel {
	_, channel, _ := strings.Cut(name, ".")
	if n := a.manifest.NodeOf(name); n != nil {
		return n.Channels[channel]
	}
	return nil
}

// channelStream reads the segments of one channel that are here and proven, as
// long as the analysis goes on.
type channelStream struct {
	ctx      context.Context
	name     string
	progress *stageProgress
	over     *run.CommonClock // the time of which it has tags; nil: all
	left     uint64           // tags, at most
	tagfile.ReadCloser
}

// Left is at most how many tags the stream still has.
func (s *channelStream) Left() int { return int(s.left) }

func (s *channelStream) Next(buf []uint64) (int, error) {
	if s.ctx.Err() != nil {
		return 0, context.Cause(s.ctx)
	}
	n, err := s.ReadCloser.Next(buf)
	s.left -= min(s.left, uint64(n))
	if s.progress != nil {
		s.progress.done.Add(uint64(n))
	}
	if s.over != nil {
		n, err = s.cut(buf[:n], err)
	}
	if err != nil && err != io.EOF {
		err = fmt.Errorf("%s: %w", s.name, err)
	}
	return n, err
}

func (a *analysis) open(name string) (*channelStream, error) {
	c := a.channel(name)
	if c == nil {
		return nil, fmt.Errorf("there is no channel %s", name)
	}
	node, channel, _ := strings.Cut(name, ".")
	if c.Tags == 0 {
		a.manifest.Notice(run.Reason{Condition: run.Tainted, Node: node, Channel: channel, Message: "nothing was recorded, so stages that look at it have no value"})
	}
	sink, segments := a.manifest.Source(a.recipe, node, channel)
	if len(segments) == 0 && c.Tags > 0 {
		return nil, a.manifest.NoSource(node, channel)
	}
	if segments = a.unbroken(node, segments); len(segments) == 0 && c.Tags > 0 {
		return nil, fmt.Errorf("%s recorded nothing in the time that stages look at", name)
	}
	c.ReadFrom = sink
	if a.progress != nil {
		a.progress.of.Add(c.Tags)
	}
	return &channelStream{ctx: a.ctx, name: name, progress: a.progress, over: a.overOf(name), left: c.Tags, ReadCloser: &placed{shots: a.shotsOf(node, segments)}}, nil
}

// expectations compares the channels' rates with what the recipe expects.
func expectations(expect []recipe.Expect, m *run.Manifest) {
	for _, e := range expect {
		node, channel, _ := strings.Cut(e.Channel, ".")
		rate := int64(0)
		if n := m.Nodes[node]; n != nil && n.Channels[channel] != nil {
			rate = n.Channels[channel].Rate.Millihertz()
		}
		miss := func(relation string, bound int64) {
			m.Notice(run.Reason{Condition: run.Tainted, Node: node, Channel: channel,
				Message: fmt.Sprintf("a rate of %s is %s the expected %s", text.Hertz(rate), relation, text.Hertz(bound))})
		}
		if e.RateMin != nil && rate < int64(*e.RateMin) {
			miss("below", int64(*e.RateMin))
		}
		if e.RateMax != nil && rate > int64(*e.RateMax) {
			miss("above", int64(*e.RateMax))
		}
	}
}

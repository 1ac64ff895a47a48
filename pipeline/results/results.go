// Package results gives what the stages of a run have found to the sinks of its recipe
// that take it.
//
//	results.go  one sink after the other: its program is started once, and told all
//	table.go    the tables of the run directory, as a plugin reads them
//	room.go     what its files may fill
//	files.go    what the program says it wrote is proven; what is beside it goes
//
// The results of the run are in its directory by then, whatever a sink does: one that
// fails is told of, and changes nothing else.
package results

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tsrun/pipeline/host"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/sdk"
)

// Within is how long the program of one sink has.
const Within = 2 * time.Minute

// Options say what there is to give, and to whom.
type Options struct {
	Dir        string // of the run
	Recipe     *recipe.Recipe
	Manifest   *run.Manifest // has the results
	PluginDirs []string
	Lock       host.Lock
	Within     time.Duration
	Warn       func(message, hint string)
}

// Give gives each sink what it takes, and returns what became of it.
func Give(ctx context.Context, o Options) (records []run.ResultRecord) {
	for _, s := range o.Recipe.ResultSinks {
		g := giver{Options: o, sink: s, record: run.ResultRecord{Sink: s.Name, Plugin: s.Sink, Files: []run.ResultFile{}}}
		if err := g.give(ctx); err != nil {
			g.record.Failed = strings.ReplaceAll(err.Error(), "\n", "; ")
			hint := "what the stages found is in " + run.ResultsDir + " of the run directory all the same"
			var known *sdk.Failure
			if errors.As(err, &known) && known.Hint != "" {
				hint = known.Hint
			}
			o.Warn(fmt.Sprintf("sink %s of results: %s", s.Name, g.record.Failed), hint)
		}
		records = append(records, g.record)
	}
	return records
}

// giver gives results to one sink.
type giver struct {
	Options
	sink   recipe.ResultSink
	record run.ResultRecord
	heads  []sdk.ResultHead
	tables []string // of each
}

func (g *giver) give(ctx context.Context) error {
	program, err := host.Find(g.PluginDirs, g.sink.Sink)
	if err != nil {
		return err
	}
	g.record.Version, g.record.SHA256 = program.Version, hex.EncodeToString(program.SHA256[:])
	if refusal := g.Lock.Check(g.sink.Sink, g.record.SHA256, program.Path); refusal != nil {
		return refusal
	}
	var offer *sdk.Offer
	if program.Description != nil {
		offer = program.Description.Sink(g.sink.Sink)
	}
	if offer == nil || offer.Results == nil {
		return &sdk.Failure{Code: "no-results", Message: "plugin " + g.sink.Sink + " does not say that it takes results",
			Hint: "build it again (make build), or name another plugin"}
	}
	if g.collect(); len(g.heads) == 0 {
		return errors.New("no stage has a result for it, so nothing is written")
	}
	dir, err := g.fresh()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, g.Within, fmt.Errorf("it has not ended within %v", g.Within))
	defer cancel()
	answer, err := g.askWithinRoom(ctx, program, offer, dir)
	return errors.Join(err, g.accept(dir, answer, err == nil))
}

// collect finds what there is for the sink.
func (g *giver) collect() {
	for _, r := range g.Manifest.Results {
		if !g.sink.Takes(r.Stage) {
			continue
		}
		h, err := sdk.ResultHead{}, error(nil)
		if r.Skipped != "" {
			err = errors.New("it was skipped")
		} else {
			h, err = headOf(g.Dir, r)
		}
		if err != nil {
			g.record.Without = append(g.record.Without, fmt.Sprintf("%s: %v", r.Stage, err))
			continue
		}
		g.heads, g.tables = append(g.heads, h), append(g.tables, tableOf(r))
	}
}

// fresh makes the directory of the sink. Whatever a master before has left there goes.
func (g *giver) fresh() (*os.Root, error) {
	path := filepath.Join(g.Dir, run.ResultsDir, run.PlainName(g.sink.Name))
	path, err := filepath.Abs(path) // a program is started in it
	if err == nil {
		err = os.RemoveAll(path)
	}
	if err == nil {
		err = os.MkdirAll(path, 0o777) // no stage may have had a table
	}
	if err != nil {
		return nil, fmt.Errorf("make its directory: %w", err)
	}
	return os.OpenRoot(path)
}

// ask has the program write what there is.
func (g *giver) ask(ctx context.Context, program host.Component, offer *sdk.Offer, dir string) (sdk.ResultsAnswer, error) {
	request, to := io.Pipe()
	told := make(chan error, 1)
	go func() {
		out := bufio.NewWriterSize(to, 64<<10)
		err := g.tell(out, offer)
		if err == nil {
			err = out.Flush()
		}
		to.CloseWithError(err)
		told <- err
	}()
	answer, confined, err := program.WriteResults(ctx, dir, g.sink.Config, request)
	g.record.Confinement = confined
	request.Close()
	if telling := <-told; telling != nil && !errors.Is(telling, io.ErrClosedPipe) {
		err = telling
	}
	return answer, err
}

// tell writes the request, see [sdk.ResultsRequest].
func (g *giver) tell(w io.Writer, offer *sdk.Offer) error {
	out := json.NewEncoder(w)
	err := out.Encode(sdk.ResultsRequest{Version: sdk.ResultsVersion, Sink: offer.Name, Config: g.sink.Config, Run: g.Manifest.Run,
		Recipe: g.Manifest.Recipe.SHA256, Simulated: g.Manifest.Simulated(), Results: len(g.heads)})
	for i, h := range g.heads {
		if err == nil {
			err = out.Encode(h)
		}
		if err == nil && g.tables[i] != "" {
			err = writeRows(w, g.Dir, g.tables[i])
		}
	}
	return err
}

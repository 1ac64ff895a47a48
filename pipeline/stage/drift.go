package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"tsrun/pipeline/run"
)

// Drift is how the clocks of one align stage stood through a record.
type Drift struct {
	Stage string `json:"stage,omitempty"`
	AlignSummary
}

// MarshalJSON writes the stage before what it found.
func (d Drift) MarshalJSON() ([]byte, error) {
	found, err := json.Marshal(d.AlignSummary)
	if err != nil || d.Stage == "" {
		return found, err
	}
	stage, err := json.Marshal(d.Stage)
	return slices.Concat([]byte(`{"stage":`), stage, []byte(","), found[1:]), err
}

// Drifts follows the clocks of a run's align stages once more, through the tags
// that are in its directory. It changes nothing there. A stage that finds
// nothing says so in its Drift; the error is for a directory that is none of a
// run, for tags that cannot be read, and for the end of ctx.
func Drifts(ctx context.Context, dir string) (drifts []Drift, of Origin, err error) {
	m, r, err := run.ReadRun(dir)
	if err != nil {
		return nil, of, err
	}
	a := &analysis{ctx: ctx, dir: dir, recipe: r, manifest: m, clocks: newClocks(r.Trigger.Method == "hardware")}
	of = a.origin()
	aligns, err := AlignStages(r)
	if err != nil {
		return nil, of, err
	}
	if err := m.Known(dir); err != nil && len(aligns) > 0 {
		return nil, of, err
	}
	for _, s := range aligns {
		clocks, err := a.again(s.AlignConfig)
		if err != nil {
			return nil, of, fmt.Errorf("stage %q: %w", s.Name, err)
		}
		for _, summary := range clocks {
			of.Simulated = of.Simulated || summary.Simulated
			drifts = append(drifts, Drift{s.Name, summary})
		}
	}
	var names []string
	for _, d := range drifts {
		names = append(names, d.Reference, d.Target)
	}
	of.Words = a.lacking(names...)
	if len(drifts) == 0 {
		return nil, of, errors.New("the recipe of this run has no align stage; name the files of two channels instead")
	}
	return drifts, of, nil
}

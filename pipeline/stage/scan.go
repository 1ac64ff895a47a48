package stage

import (
	"io"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
)

// scan counts the coincidences at every delay of stop against start.
func (a *analysis) scan(c *recipe.ScanConfig, result *run.Result) (any, error) {
	in, err := a.inputs(nil, c.Start, c.Stop)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	s, err := correlate.ScanDelays(in.channels[0], in.channels[1], correlate.ScanOptions{
		From: int64(c.From), To: int64(c.To), Step: int64(c.Step), Window: int64(c.Window),
	})
	if err != nil {
		return nil, err
	}
	summary := ScanSummary{Start: c.Start, Stop: c.Stop, Corrected: in.corrected, Simulated: a.simulated(c.Start, c.Stop),
		StepPs: s.Step, WindowPs: s.Window, Peak: s.Peak, NoPeak: s.NoPeak, Periods: s.Periods, Warning: s.Warning,
		NoValue: correlate.Nothing([]string{c.Start, c.Stop}, []uint64{s.TagsA, s.TagsB})}
	err = a.table(result, "delay_ps,counts", []string{c.Start, c.Stop}, func(w io.Writer) error { return WriteCounts(w, s.Start, s.Step, s.Counts) })
	if err != nil {
		return nil, err
	}
	return summary, a.json(result, summary)
}

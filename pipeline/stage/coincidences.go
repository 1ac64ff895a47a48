package stage

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
)

// coincidences counts what the channels saw together and writes every tuple.
func (a *analysis) coincidences(c *recipe.CoincidencesConfig, result *run.Result) (any, error) {
	in, err := a.inputs(c.Offsets, c.Of...)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	summary := CoincidencesSummary{Of: c.Of, Corrected: in.corrected, Simulated: a.simulated(c.Of...)}
	err = a.table(result, TupleColumns(len(c.Of)), c.Of, func(w io.Writer) error {
		summary.Coincidences, err = correlate.Coincide(in.channels, correlate.CoincidenceOptions{
			Window: int64(c.Window), Shift: int64(c.Shift), Period: c.Period.Picoseconds(), Each: TupleWriter(w),
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	if summary.Warning != "" {
		a.manifest.Notice(run.Reason{Condition: run.Tainted, Message: fmt.Sprintf("stage %q: %s", result.Stage, summary.Warning)})
	}
	return summary, a.json(result, summary)
}

// TupleWriter writes a line for each coincidence it is given.
func TupleWriter(w io.Writer) func(correlate.Tuple) error {
	var line []byte
	return func(t correlate.Tuple) error {
		line = appendTuple(line[:0], t)
		_, err := w.Write(line)
		return err
	}
}

// TupleColumns names the columns of what n channels saw together: the tags,
// then the differences to A; of two channels there is one.
func TupleColumns(n int) string {
	if n == 2 {
		return "a_ps,b_ps,delta_ps,one_to_one"
	}
	var columns []string
	for i := range n {
		columns = append(columns, letter(i)+"_ps")
	}
	for i := 1; i < n; i++ {
		columns = append(columns, "delta_"+letter(i)+"_ps")
	}
	return strings.Join(append(columns, "one_to_one"), ",")
}

func letter(i int) string { return string(rune('a' + i)) }

func appendTuple(line []byte, t correlate.Tuple) []byte {
	for _, tag := range t.Tags {
		line = append(strconv.AppendUint(line, tag, 10), ',')
	}
	for _, d := range t.Deltas {
		line = append(strconv.AppendInt(line, d, 10), ',')
	}
	if t.OneToOne {
		return append(line, "1\n"...)
	}
	return append(line, "0\n"...)
}

package run

import (
	"encoding/json"
	"fmt"
	"io"
)

// json writes a summary beside the table of its stage.
func (a *analysis) json(result *Result, summary any) error {
	return a.file(result, ".json", func(w io.Writer) error {
		text, err := json.MarshalIndent(summary, "", "  ")
		if err == nil {
			_, err = w.Write(append(text, '\n'))
		}
		return err
	})
}

// table writes lines under the names of their columns, and these after one line
// that says whether tags were measured. It is there always, and has no comma, so
// that one way of reading takes the tables of all runs.
func (a *analysis) table(result *Result, columns string, channels []string, lines func(io.Writer) error) error {
	origin := "measured"
	if a.simulated(channels...) {
		origin = "SIMULATED: computed and not measured"
	}
	columns = fmt.Sprintf("# %s; stage %s of run %s\n%s", origin, result.Stage, a.manifest.Run, columns)
	return a.file(result, ".csv", func(w io.Writer) error {
		if _, err := io.WriteString(w, columns+"\n"); err != nil {
			return err
		}
		return lines(w)
	})
}

// simulated says whether any of the channels is of a simulated device.
func (a *analysis) simulated(channels ...string) bool {
	for _, name := range channels {
		c := a.channel(name)
		if c == nil {
			continue
		}
		if k := a.manifest.nodeOf(name).Controllers[c.Controller]; k != nil && k.Device.Simulated {
			return true
		}
	}
	return false
}

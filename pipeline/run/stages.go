package run

import (
	"encoding/json"
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

// heading is the first line of a result, after one that marks simulated tags.
func (a *analysis) heading(columns string, channels ...string) string {
	if a.simulated(channels...) {
		return "# SIMULATED: computed, not measured\n" + columns + "\n"
	}
	return columns + "\n"
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

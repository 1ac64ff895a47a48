package stage

import (
	"encoding/json"
	"io"
	"strings"

	"tsrun/pipeline/run"
	"tsrun/pipeline/text"
)

// json writes a summary beside the table of its stage.
func (a *analysis) json(result *run.Result, summary any) error { return a.jsonOf(result, "", summary) }

// jsonOf is json of a part of the stage's result, which the file's name says.
func (a *analysis) jsonOf(result *run.Result, part string, summary any) error {
	return a.file(result, part+".json", func(w io.Writer) error {
		text, err := json.MarshalIndent(summary, "", "  ")
		if err == nil {
			_, err = w.Write(append(text, '\n'))
		}
		return err
	})
}

// Origin says where the tags of a table are from.
type Origin struct {
	Recorded  bool   // by a run; false: files that nothing says more of
	Run       string // its number
	Simulated bool
	Words     []string // what a person should know of them, a line each; only of what is no stage
}

// origin says where the tags of channels are from.
func (a *analysis) origin(channels ...string) Origin {
	return Origin{Recorded: true, Run: a.manifest.Run, Simulated: a.simulated(channels...)}
}

// About is what a table is of, behind where its tags are from.
func (o Origin) About(of string) string {
	from := "files of tags"
	switch {
	case o.Simulated:
		from = "SIMULATED: computed and not measured"
	case o.Recorded:
		from = "measured"
	}
	if o.Run != "" {
		of += "; run " + o.Run
	}
	return from + "; " + of
}

// Heading is the one line before the columns of every table. It has no comma, so
// that one way of reading takes all tables.
func Heading(about string) string {
	return "# " + strings.ReplaceAll(text.Printable(about), ",", " ") + "\n"
}

// table writes lines under the names of their columns, and these after the heading.
func (a *analysis) table(result *run.Result, columns string, channels []string, lines func(io.Writer) error) error {
	columns = Heading(a.origin(channels...).About("stage "+result.Stage+"; times in ps")) + columns
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
		if k := a.manifest.NodeOf(name).Controllers[c.Controller]; k != nil && k.Device.Simulated {
			return true
		}
	}
	return false
}

// device is how the controller of a channel names itself; "" where that is not known.
func (a *analysis) device(channel string) string {
	c := a.channel(channel)
	if c == nil {
		return ""
	}
	k := a.manifest.NodeOf(channel).Controllers[c.Controller]
	if k == nil {
		return ""
	}
	return k.Device.Name()
}

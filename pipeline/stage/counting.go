package stage

import (
	"encoding"
	"encoding/json"
	"fmt"
	"io"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
)

// counting is a kind of stage that counts tags of channels, and a command that
// does the same over files and over channels of a run. C is its config, A what was
// counted, and S the summary that a run keeps of it.
type counting[C recipe.StageConfig, A, S any] struct {
	kind[C, S]
	command Command
	initial C                        // of the command, before its flags
	flags   func(c *C) []Flag        // of the command
	check   func(c C) error          // says what is wrong with the flags
	answer  func(a A) any            // what the command prints as JSON; nil: what was counted
	show    func(io.Writer, A) error // what the command prints for a person
	columns func(of []string) string // of the table, by the names of the channels
	count   func(c C, channels []correlate.Channel, lines io.Writer) (A, error)
	summary func(c C, of about, a A) S
	warning func(a A) string // why the run is tainted; "": it is not
}

// about is what a summary says of the channels.
type about struct{ corrected, simulated bool }

// execute counts, and writes the table and the summary.
func (k counting[C, A, S]) execute(a *analysis, config json.RawMessage, result *run.Result) (any, error) {
	c, err := read[C](config)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, use := range c.Uses() {
		names = append(names, use.Channel)
	}
	in, err := a.inputs(k.command.AnyClock, names...)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	var found A
	err = a.table(result, k.columns(names), names, func(w io.Writer) error {
		found, err = k.count(c, in.channels, w)
		return err
	})
	if err != nil {
		return nil, err
	}
	if k.warning != nil && k.warning(found) != "" {
		a.manifest.Notice(run.Reason{Condition: run.Tainted, Message: fmt.Sprintf("stage %q: %s", result.Stage, k.warning(found))})
	}
	summary := k.summary(c, about{in.corrected, a.simulated(names...)}, found)
	return summary, a.json(result, summary)
}

// Command describes a kind that counts as a command.
type Command struct {
	Use, Short, Long, Example string
	Least, Most               int    // channels
	AnyClock                  bool   // channels of clocks that nothing connects are counted each in its own time
	Columns, Keys             string // what its help says of tables and of JSON
}

// Flag is an option of a command.
type Flag struct {
	Name, Usage string
	Value       interface {
		encoding.TextMarshaler
		encoding.TextUnmarshaler
	}
	Required bool
}

// Counter is a command that counts, in one use.
type Counter struct {
	Command
	Flags   []Flag                   // their values are what Count goes by
	Check   func() error             // says what is wrong with these
	Columns func(of []string) string // of the table, by the names of the channels
	// Count counts the tags of channels. Where lines is not nil, the lines of the
	// table are written to it.
	Count func(channels []correlate.Channel, lines io.Writer) (Answer, error)
}

// Answer is what was counted.
type Answer struct {
	JSON  any                     // as it is encoded
	Words func(o io.Writer) error // writes it for a person
}

// Counters are the kinds that count, each for one use as a command.
func Counters() (all []Counter) {
	for _, k := range kinds {
		if k, ok := k.(interface{ counter() Counter }); ok {
			all = append(all, k.counter())
		}
	}
	return all
}

func (k counting[C, A, S]) counter() Counter {
	c := k.initial
	return Counter{
		Command: k.command, Flags: k.flags(&c), Check: func() error { return k.check(c) }, Columns: k.columns,
		Count: func(channels []correlate.Channel, lines io.Writer) (Answer, error) {
			found, err := k.count(c, channels, lines)
			if err != nil {
				return Answer{}, err
			}
			answer := Answer{found, func(out io.Writer) error { return k.show(out, found) }}
			if k.answer != nil {
				answer.JSON = k.answer(found)
			}
			return answer, nil
		},
	}
}

// anyColumns are columns whatever the channels are called.
func anyColumns(columns string) func([]string) string {
	return func([]string) string { return columns }
}

// correctedWords is what a report says of channels whose clocks were corrected.
func correctedWords(corrected bool) string {
	if corrected {
		return ", clocks corrected"
	}
	return ""
}

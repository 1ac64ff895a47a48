package stage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
)

// kinds are all kinds of stages, in the order of the documentation. Each is
// described in its own file.
var kinds = []executor{alignKind, coincidencesKind, scanKind, histogramKind, g2Kind, ratesKind}

// executor is a kind whose configs and summaries are of any type.
type executor interface {
	recipe.StageKind
	execute(a *analysis, config json.RawMessage, result *run.Result) (summary any, err error)
	report(r run.Result, say Say)
}

// kind is one kind of stage, with configs of type C and summaries of type S.
type kind[C recipe.StageConfig, S any] struct {
	name   string
	fields []*recipe.Field // the keys of its config
	work   func(a *analysis, c C, result *run.Result) (S, error)
	words  func(say Say, s S) // says for a person what was found
}

// Say writes one line of a report.
type Say func(format string, args ...any)

// Kinds describes the kinds of stages to recipes.
func Kinds() (all []recipe.StageKind) {
	for _, k := range kinds {
		all = append(all, k)
	}
	return all
}

// kindOf returns a kind by its name, or nil.
func kindOf(name string) executor {
	for _, k := range kinds {
		if k.Kind() == name {
			return k
		}
	}
	return nil
}

// Report says what a stage has found; nothing where its summary is of another form.
func Report(r run.Result, say Say) {
	if k := kindOf(r.Kind); k != nil {
		k.report(r, say)
	}
}

func (k kind[C, S]) Kind() string            { return k.name }
func (k kind[C, S]) Fields() []*recipe.Field { return append(slices.Clone(k.fields), overField) }

// Config reads the config of a recipe that was checked by the keys of the kind: one
// that is not in C is a defect here.
func (k kind[C, S]) Config(text json.RawMessage) (recipe.StageConfig, error) {
	var c C
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&c); err != nil {
		return nil, fmt.Errorf("read config of stage: %w", err)
	}
	return c, nil
}

func (k kind[C, S]) execute(a *analysis, config json.RawMessage, result *run.Result) (any, error) {
	c, err := read[C](config)
	if err != nil {
		return nil, err
	}
	return k.work(a, c, result)
}

func (k kind[C, S]) report(r run.Result, say Say) {
	if s, ok := DecodeSummary[S](r); ok {
		k.words(say, s)
	}
}

// read reads the config of a stage, also of a run that a later release made.
func read[C recipe.StageConfig](text json.RawMessage) (c C, err error) {
	if err := json.Unmarshal(text, &c); err != nil {
		return c, fmt.Errorf("read config of stage: %w", err)
	}
	return c, nil
}

// DecodeSummary reads the summary of a result into that of its kind.
// ok is false when there is none or it is of another form.
func DecodeSummary[S any](r run.Result) (s S, ok bool) {
	ok = len(r.Summary) > 0 && json.Unmarshal(r.Summary, &s) == nil
	return s, ok
}

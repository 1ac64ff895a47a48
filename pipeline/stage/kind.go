package stage

import (
	"bytes"
	"encoding/json"
	"fmt"

	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
)

// kind is one kind of stage, with configs of type C.
type kind[C recipe.StageConfig] struct {
	name   string
	fields []*recipe.Field
	work   func(a *analysis, c C, result *run.Result) (summary any, err error)
}

// executor is a kind whose configs are of any type.
type executor interface {
	recipe.StageKind
	execute(a *analysis, config json.RawMessage, result *run.Result) (summary any, err error)
}

// kinds are all there are, in the order of the documentation.
var kinds = []executor{
	kind[AlignConfig]{alignKind, alignFields, (*analysis).align},
	kind[CoincidencesConfig]{"coincidences", coincidencesFields, (*analysis).coincidences},
	kind[ScanConfig]{"scan", scanFields, (*analysis).scan},
	kind[HistogramConfig]{"histogram", histogramFields, (*analysis).histogram},
	kind[G2Config]{"g2", g2Fields, (*analysis).g2},
	kind[RatesConfig]{"rates", ratesFields, (*analysis).rates},
}

// Kinds describes the kinds of stages to recipes.
func Kinds() (all []recipe.StageKind) {
	for _, k := range kinds {
		all = append(all, k)
	}
	return all
}

func (k kind[C]) Kind() string            { return k.name }
func (k kind[C]) Fields() []*recipe.Field { return k.fields }

func (k kind[C]) Config(text json.RawMessage) (recipe.StageConfig, error) { return read[C](text) }

func (k kind[C]) execute(a *analysis, config json.RawMessage, result *run.Result) (any, error) {
	c, err := read[C](config)
	if err != nil {
		return nil, err
	}
	return k.work(a, c, result)
}

// read reads the config of a stage.
func read[C recipe.StageConfig](text json.RawMessage) (c C, err error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&c); err != nil {
		return c, fmt.Errorf("read config of stage: %w", err)
	}
	return c, nil
}

package sdk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/invopop/jsonschema"
)

// Description is what a plugin says about itself without being started: the
// output of `PLUGIN --describe`, kept beside the binary as NAME.json.
type Description struct {
	Name     string  `json:"name"`
	Version  string  `json:"version"`
	Summary  string  `json:"summary"`
	Protocol int     `json:"protocol"` // version of the plugin protocol it speaks
	Drivers  []Offer `json:"drivers,omitempty"`
	Sinks    []Offer `json:"sinks,omitempty"`
	Needs    *Needs  `json:"needs,omitempty"`
}

// Offer is one driver or sink of a plugin.
type Offer struct {
	Name      string          `json:"name"`
	Schema    json.RawMessage `json:"schema"`              // JSON Schema 2020-12 of its configuration
	Defaults  json.RawMessage `json:"defaults"`            // the configuration of a recipe that sets nothing
	Keeps     Keeps           `json:"keeps,omitempty"`     // of sinks: what becomes of the tags; "": not said
	Resumable bool            `json:"resumable,omitempty"` // of sinks: a process may go on with the recording of one that died
	Files     []string        `json:"files,omitempty"`     // of sinks: names of their files, see [SinkType.Naming]; none: any
	Checks    bool            `json:"checks,omitempty"`    // `PLUGIN --check` finds mistakes that the schema does not tell

	Results *TakenOffer `json:"results,omitempty"` // of sinks: they take what stages found, see [TakingResults]; nil: they do not
	Merged  *TakenOffer `json:"merged,omitempty"`  // and the merged tags of all nodes, see [TakingMerged]

	Simulation   *Simulator `json:"simulation,omitempty"`    // of drivers: how they play their device; nil: they do not
	NoThresholds bool       `json:"no_thresholds,omitempty"` // of drivers: the inputs have none, a recipe gives none
}

// Driver returns the driver that a recipe means which names the plugin: that of
// the same name, or the only one; nil: there is none.
func (d *Description) Driver(name string) *Offer { return choose(d.Drivers, name) }

// Sink returns the sink that a recipe means, as Driver does.
func (d *Description) Sink(name string) *Offer { return choose(d.Sinks, name) }

func choose(offers []Offer, name string) *Offer {
	for i := range offers {
		if offers[i].Name == name || len(offers) == 1 {
			return &offers[i]
		}
	}
	return nil
}

// Describe returns what `--describe` prints. It fails when a configuration
// type cannot be written as JSON.
func (p Plugin) Describe() (Description, error) {
	d := Description{Name: p.Name, Version: p.Version, Summary: p.Summary, Protocol: ProtocolVersion}
	if n := p.Needs; len(n.Reads) > 0 || len(n.Writes) > 0 || n.Network || n.Unconfined != "" {
		d.Needs = &n
	}
	for _, k := range p.Drivers {
		o, err := k.describe()
		if err != nil {
			return Description{}, fmt.Errorf("describe driver %s: %w", k.name, err)
		}
		if k.simulation != nil {
			if o.Simulation, err = k.simulation(); err != nil {
				return Description{}, fmt.Errorf("describe the simulation of driver %s: %w", k.name, err)
			}
		}
		o.Checks, o.NoThresholds = k.check != nil || k.checkSimulation != nil, k.noThresholds
		d.Drivers = append(d.Drivers, o)
	}
	for _, k := range p.Sinks {
		o, err := k.describe()
		if err != nil {
			return Description{}, fmt.Errorf("describe sink %s: %w", k.name, err)
		}
		if k.results != nil {
			taken, err := k.results.offer()
			if err != nil {
				return Description{}, fmt.Errorf("describe the results that sink %s takes: %w", k.name, err)
			}
			o.Results = &taken
		}
		if k.merged != nil {
			taken, err := k.merged.offer()
			if err != nil {
				return Description{}, fmt.Errorf("describe the merged tags that sink %s takes: %w", k.name, err)
			}
			o.Merged = &taken
		}
		o.Checks = k.check != nil
		d.Sinks = append(d.Sinks, o)
	}
	return d, nil
}

func describeConfig(name string, defaults any) (Offer, error) {
	values, err := json.Marshal(defaults)
	if err != nil {
		return Offer{}, err
	}
	reflector := jsonschema.Reflector{
		Anonymous:                  true,
		DoNotReference:             true,
		ExpandedStruct:             true,
		RequiredFromJSONSchemaTags: true, // what has a default need not be said
	}
	schema := reflector.Reflect(defaults)
	if err := addDefaults(schema, values); err != nil {
		return Offer{}, err
	}
	text, err := json.Marshal(schema)
	if err != nil {
		return Offer{}, err
	}
	return Offer{Name: name, Schema: text, Defaults: values}, nil
}

// addDefaults notes in the schema which value each key has when it is left
// out. A required key has none.
func addDefaults(schema *jsonschema.Schema, values json.RawMessage) error {
	var defaults map[string]any
	if err := json.Unmarshal(values, &defaults); err != nil {
		return fmt.Errorf("configuration is not a struct: %w", err)
	}
	for _, key := range schema.Required {
		delete(defaults, key)
	}
	if schema.Properties == nil {
		return nil
	}
	for p := schema.Properties.Oldest(); p != nil; p = p.Next() {
		if v, ok := defaults[p.Key]; ok && v != nil && p.Value.Default == nil {
			p.Value.Default = v
		}
	}
	return nil
}

// decodeConfig decodes a recipe's configuration over the defaults and refuses
// keys that C does not have. An empty text is a configuration that sets nothing.
func decodeConfig[C any](text json.RawMessage, defaults C) (C, error) {
	c := defaults
	if len(bytes.TrimSpace(text)) == 0 {
		return c, nil
	}
	if err := decodeStrictly(text, &c); err != nil {
		f := &Failure{Code: "bad-config", Message: "read configuration: " + err.Error(),
			Hint: "compare it with the plugin's schema, printed by `PLUGIN --describe`"}
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			f.Field = wrong.Field
		}
		return defaults, f
	}
	return c, nil
}

// decodeStrictly decodes one JSON value and refuses keys that to does not have.
func decodeStrictly(text json.RawMessage, to any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(to)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("more than one JSON value")
		}
	}
	return err
}

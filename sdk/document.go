package sdk

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/invopop/jsonschema"
)

// Document writes what a plugin says of itself as Markdown: its drivers and
// sinks, and each key of their configurations with default, values and meaning.
// The version is left out, so that the text changes only when the plugin does.
func (d *Description) Document() (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s\n", inline(d.Name), inline(d.Summary))
	for _, o := range d.Drivers {
		if err := o.document(&b, "Driver"); err != nil {
			return "", err
		}
	}
	for _, o := range d.Sinks {
		if err := o.document(&b, "Sink"); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

func (o *Offer) document(b *strings.Builder, kind string) error {
	fmt.Fprintf(b, "\n## %s `%s`\n\n", kind, inline(o.Name))
	if kind == "Sink" {
		fmt.Fprintf(b, "Keeps of the tags: %s.\n\n", cmp.Or(inline(string(o.Keeps)), "it does not say"))
	}
	if o.NoThresholds {
		b.WriteString("The inputs have no thresholds: a recipe gives none.\n\n")
	}
	if err := documentKeys(b, o.Schema); err != nil {
		return fmt.Errorf("document %s: %w", o.Name, err)
	}
	if o.Results != nil {
		b.WriteString("\nWith `takes: results`, or the names of stages, it takes what these found, and its keys are:\n\n")
		if err := documentKeys(b, o.Results.Schema); err != nil {
			return fmt.Errorf("document the results that %s takes: %w", o.Name, err)
		}
	}
	if o.Merged != nil {
		b.WriteString("\nWith `takes: merged` it takes the tags of all nodes while the run goes on, and its keys are:\n\n")
		if err := documentKeys(b, o.Merged.Schema); err != nil {
			return fmt.Errorf("document the merged tags that %s takes: %w", o.Name, err)
		}
	}
	if o.Simulation == nil {
		return nil
	}
	when, err := json.Marshal(o.Simulation.When)
	if err != nil {
		return fmt.Errorf("document %s: %w", o.Name, err)
	}
	means := "Every config means a simulated device"
	if len(o.Simulation.When) > 0 {
		means = fmt.Sprintf("A config with `%s` means a simulated device", inline(string(when)))
	}
	fmt.Fprintf(b, "\n%s; under `simulate.NODE` a recipe may say:\n\n", means)
	if err := documentKeys(b, o.Simulation.Schema); err != nil {
		return fmt.Errorf("document the simulation of %s: %w", o.Name, err)
	}
	return nil
}

// documentKeys writes a table of the keys that a schema describes.
func documentKeys(b *strings.Builder, schema json.RawMessage) error {
	var s jsonschema.Schema
	if err := json.Unmarshal(schema, &s); err != nil {
		return fmt.Errorf("read its schema: %w", err)
	}
	var rows [][4]string
	rows = appendKeys(rows, "", &s, 0)
	if len(rows) == 0 {
		b.WriteString("There are no keys.\n")
		return nil
	}
	b.WriteString("| key | values | default | meaning |\n| --- | --- | --- | --- |\n")
	for _, r := range rows {
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", r[0], r[1], r[2], r[3])
	}
	return nil
}

// deepest is how far keys within keys are followed; a schema may be without end.
const deepest = 4

func appendKeys(rows [][4]string, before string, s *jsonschema.Schema, depth int) [][4]string {
	if s.Properties == nil || depth > deepest {
		return rows
	}
	required := map[string]bool{}
	for _, key := range s.Required {
		required[key] = true
	}
	for p := s.Properties.Oldest(); p != nil; p = p.Next() {
		key, v := before+p.Key, p.Value
		standard := ""
		if required[p.Key] {
			standard = "required"
		} else if text, err := json.Marshal(v.Default); err == nil && v.Default != nil {
			standard = "`" + inline(string(text)) + "`"
		}
		rows = append(rows, [4]string{inline(key), valuesOf(v), standard, inline(v.Description)})
		rows = appendKeys(rows, key+".", v, depth+1)
	}
	return rows
}

// valuesOf says in a few words what a key may be.
func valuesOf(v *jsonschema.Schema) string {
	words := []string{}
	for _, one := range append(v.AnyOf, v.OneOf...) {
		words = append(words, valuesOf(one))
	}
	if len(words) > 0 {
		return strings.Join(words, " or ")
	}
	if v.Const != nil {
		return "`" + inline(fmt.Sprint(v.Const)) + "`"
	}
	for _, e := range v.Enum {
		word := inline(fmt.Sprint(e))
		words = append(words, "`"+cmp.Or(word, `""`)+"`")
	}
	if len(words) > 0 {
		return strings.Join(words, ", ")
	}
	text := cmp.Or(strings.TrimPrefix(inline(v.Format), "quantity-"), inline(v.Type), "any")
	if len(v.Examples) > 0 {
		text += " such as `" + inline(fmt.Sprint(v.Examples[0])) + "`"
	}
	switch {
	case v.Minimum != "" && v.Maximum != "":
		text += fmt.Sprintf(", %s to %s", v.Minimum, v.Maximum)
	case v.Minimum != "":
		text += fmt.Sprintf(", from %s", v.Minimum)
	case v.Maximum != "":
		text += fmt.Sprintf(", up to %s", v.Maximum)
	}
	return text
}

// inline makes text fit into a cell of a table.
func inline(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "\r", " ", "`", "'").Replace(clean(text))
}

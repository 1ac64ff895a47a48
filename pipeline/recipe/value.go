package recipe

import (
	"encoding/json"
	"strconv"
)

// value is a node that was checked, with the field it obeys. Values form the
// tree that becomes a [Recipe] and that `tsrun show` prints.
type value struct {
	*node
	field   *Field // nil inside the config of a plugin
	name    string // its key, or "" in a list
	other   bool   // an element of field.others
	path    string
	keyAt   place  // of its key, or of the node where it has none
	text    string // scalar: canonical, as a recipe would write it; the node has it as it was written
	scalar  any    // scalar: as JSON has it
	variant string // shapeVariant: the choice
	keys    []*value
	items   []*value
}

// get returns a key of a section, or nil, also of nothing.
func (v *value) get(name string) *value {
	for _, k := range v.each() {
		if k.name == name {
			return k
		}
	}
	return nil
}

// each returns the keys of a section; nothing has none.
func (v *value) each() []*value {
	if v == nil {
		return nil
	}
	return v.keys
}

// word returns the text of a single value; nothing has none.
func (v *value) word() string {
	if v == nil {
		return ""
	}
	return v.text
}

// origin says where the value comes from: "alice.yaml:14", "--set", "default".
func (v *value) origin() string {
	if v.env != "" {
		return v.at.String() + ", env " + v.env
	}
	return v.at.String()
}

// json returns the value as encoding/json takes it, in the shape of [Recipe].
func (v *value) json() any {
	switch v.kind {
	case listNode:
		list := make([]any, len(v.items))
		for i, item := range v.items {
			list[i] = item.json()
		}
		return list
	case mapNode:
		if v.field != nil && v.field.shape == shapeNamed {
			list := make([]any, len(v.keys))
			for i, k := range v.keys {
				item := k.json().(map[string]any)
				item["name"] = k.name
				list[i] = item
			}
			return list
		}
		object := make(map[string]any, len(v.keys))
		for _, k := range v.keys {
			if k.field != nil && k.field.encode != nil {
				k.field.encode(k, object)
			} else {
				object[k.name] = k.json()
			}
		}
		return object
	}
	return v.scalar
}

// number is a checked whole number as JSON.
func number(text string) json.Number { return json.Number(text) }

// join puts a key under a path; either may be empty.
func join(path, key string) string {
	if path == "" || key == "" {
		return path + key
	}
	return path + "." + key
}

func index(path string, i int) string { return join(path, strconv.Itoa(i)) }

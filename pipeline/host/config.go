package host

import (
	"encoding/json"
	"fmt"
	"strings"

	"tsrun/pipeline/recipe"
	"tsrun/sdk"
)

// checkConfig checks a configuration against the schema of a driver or sink.
// A recipe has been checked like this already; what comes here may have been
// made by hand, or for another version of the plugin. The failure names the
// first mistake, below a section where that is not the config itself; all of
// them are in its message.
func checkConfig(schema, config json.RawMessage, section string) error {
	if len(config) == 0 {
		config = json.RawMessage("{}")
	}
	mistakes, err := recipe.CheckConfig(schema, config)
	if err != nil {
		return &sdk.Failure{Code: "bad-config", Message: fmt.Sprintf("check configuration: %v", err)}
	}
	if len(mistakes) == 0 {
		return nil
	}
	f := &sdk.Failure{Code: "bad-config", Hint: mistakes[0].Hint}
	texts := make([]string, len(mistakes))
	for i, m := range mistakes {
		field := strings.Trim(strings.Trim(section+"."+m.Path, ".")+"."+m.Key, ".")
		if i == 0 {
			f.Field = field
		}
		texts[i] = m.Message
		if field != "" {
			texts[i] = field + ": " + m.Message
		}
	}
	f.Message = "check configuration: " + strings.Join(texts, "; ")
	return f
}

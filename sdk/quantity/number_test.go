package quantity

import (
	"encoding/json"
	"math"
	"testing"
)

func TestNumbersAndNone(t *testing.T) {
	values := []Number{1.5, None(), 0, Number(math.Inf(1)), 1e-300}
	text, err := json.Marshal(values)
	if err != nil || string(text) != "[1.5,null,0,null,1e-300]" {
		t.Errorf("%s, %v", text, err)
	}
	back := []Number{7, 7, 7}
	if err := json.Unmarshal([]byte("[null,2,1e999]"), &back); err == nil {
		t.Errorf("a number beyond floats is %v", back)
	}
	if err := json.Unmarshal([]byte("[null,2]"), &back); err != nil || back[0].Known() || back[1] != 2 {
		t.Errorf("%v, %v", back, err)
	}
	if got := string(None().AppendCell(Number(1.0/3).AppendCell(nil, 3), 3)); got != "0.333" {
		t.Errorf("cells are %q", got)
	}
}

package mesh

import "math"

// matrix is square.
type matrix [][]float64

func newMatrix(n int) matrix {
	m := make(matrix, n)
	for i := range m {
		m[i] = make([]float64, n)
	}
	return m
}

// times returns m·v.
func (m matrix) times(v []float64) []float64 {
	out := make([]float64, len(v))
	for i, row := range m {
		for k, x := range row {
			out[i] += x * v[k]
		}
	}
	return out
}

// inverse returns that of a symmetric matrix whose diagonal is positive, by
// Cholesky; not ok where the matrix is not definite, as far as floats tell. Rows
// and columns are brought to one size first: offsets and frequencies differ by
// orders of magnitude.
func (m matrix) inverse() (inverse matrix, ok bool) {
	n := len(m)
	size, l := make([]float64, n), newMatrix(n)
	for i := range m {
		if !(m[i][i] > 0) || math.IsInf(m[i][i], 1) {
			return nil, false
		}
		size[i] = math.Sqrt(m[i][i])
	}
	for i := range n {
		for k := range i + 1 {
			sum := m[i][k] / size[i] / size[k]
			for j := range k {
				sum -= l[i][j] * l[k][j]
			}
			if i > k {
				l[i][k] = sum / l[k][k]
				continue
			}
			if !(sum > 1e-14) {
				return nil, false
			}
			l[i][i] = math.Sqrt(sum)
		}
	}
	inverse = newMatrix(n)
	for c := range n {
		column := l.solve(c)
		for r := range n {
			inverse[r][c] = column[r] / size[r] / size[c]
		}
	}
	return inverse, true
}

// solve returns the x of m·mᵀ·x = e, m a lower triangle, which is 1 in row c and else 0.
func (m matrix) solve(c int) []float64 {
	n := len(m)
	x := make([]float64, n)
	for i := c; i < n; i++ {
		if i == c {
			x[i] = 1
		}
		for k := c; k < i; k++ {
			x[i] -= m[i][k] * x[k]
		}
		x[i] /= m[i][i]
	}
	for i := n - 1; i >= 0; i-- {
		for k := i + 1; k < n; k++ {
			x[i] -= m[k][i] * x[k]
		}
		x[i] /= m[i][i]
	}
	return x
}

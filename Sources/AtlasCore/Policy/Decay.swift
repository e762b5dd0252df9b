/// Exponential decay in fixed point, so that every machine computes the same.
enum Decay {
    /// A half-life is decayed in this many steps.
    static let stepsPerHalfLife: UInt64 = 16
    /// A factor of 1.
    static let one: UInt64 = 1 << 63

    /// 2^(−steps/16) in 63 fraction bits, rounded down; whole halvings are exact.
    static func factor(steps: UInt64) -> UInt64 {
        let halvings = steps / stepsPerHalfLife
        guard halvings < 64 else { return 0 }
        var factor = one
        if steps & 8 != 0 { factor = multiply(factor, 0x5a82_7999_fcef_3242) }  // 2^(−1/2)
        if steps & 4 != 0 { factor = multiply(factor, 0x6ba2_7e65_6b4e_b57a) }  // 2^(−1/4)
        if steps & 2 != 0 { factor = multiply(factor, 0x7560_6373_ee92_1c97) }  // 2^(−1/8)
        if steps & 1 != 0 { factor = multiply(factor, 0x7a92_be8a_9243_6616) }  // 2^(−1/16)
        return factor >> halvings
    }

    /// `value` · `factor`, rounded down. The factor is at most 1.
    static func multiply(_ value: UInt64, _ factor: UInt64) -> UInt64 {
        let product = value.multipliedFullWidth(by: factor)
        return product.high << 1 | product.low >> 63
    }

    /// `factor` to the power of `exponent`.
    static func power(_ factor: UInt64, _ exponent: UInt64) -> UInt64 {
        var (result, square, rest) = (one, factor, exponent)
        while rest > 0 {
            if rest & 1 == 1 { result = multiply(result, square) }
            square = multiply(square, square)
            rest >>= 1
        }
        return result
    }
}

/// `left + right`, or the greatest number if there is no such sum.
func addSaturating(_ left: UInt64, _ right: UInt64) -> UInt64 {
    let (sum, overflow) = left.addingReportingOverflow(right)
    return overflow ? .max : sum
}

/// `left · right`, or the greatest number if there is no such product.
func multiplySaturating(_ left: UInt64, _ right: UInt64) -> UInt64 {
    let (product, overflow) = left.multipliedReportingOverflow(by: right)
    return overflow ? .max : product
}

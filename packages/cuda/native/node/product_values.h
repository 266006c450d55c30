// `ProductDescription` of src/native/binding.ts.
#pragma once

#include <napi.h>

#include "../products.h"

namespace tutti {

// Throws INVALID_ARGUMENT. What does not fit together is for whoever prepares it to find.
ProductDescription toProductDescription(const Napi::Value& value);

}  // namespace tutti

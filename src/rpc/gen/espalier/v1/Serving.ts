// Original file: proto/espalier/v1/issuer.proto


export interface Serving {
}

export interface Serving__Output {
}

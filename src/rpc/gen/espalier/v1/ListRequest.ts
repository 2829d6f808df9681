// Original file: proto/espalier/v1/admin.proto


export interface ListRequest {
}

export interface ListRequest__Output {
}

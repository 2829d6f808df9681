// Original file: proto/espalier/v1/admin.proto

import type { Acknowledgement as _espalier_v1_Acknowledgement, Acknowledgement__Output as _espalier_v1_Acknowledgement__Output } from '../../espalier/v1/Acknowledgement.ts';

export interface Cluster {
  'name'?: (string);
  'suspended'?: (boolean);
  'tokenIssuer'?: (string);
  'keyThumbprints'?: (string)[];
  'servingNames'?: (string)[];
  'acknowledgements'?: (_espalier_v1_Acknowledgement)[];
  'problem'?: (string);
  'notice'?: (string);
}

export interface Cluster__Output {
  'name': (string);
  'suspended': (boolean);
  'tokenIssuer': (string);
  'keyThumbprints': (string)[];
  'servingNames': (string)[];
  'acknowledgements': (_espalier_v1_Acknowledgement__Output)[];
  'problem': (string);
  'notice': (string);
}
